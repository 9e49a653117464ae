/* SPDX-License-Identifier: Apache-2.0 */
/* What any process costs: started, ended. */
int main(void)
{
	return 0;
}

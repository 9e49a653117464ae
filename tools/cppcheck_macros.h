/* SPDX-License-Identifier: Apache-2.0 */
/* What cppcheck, which does not read the libraries' headers, must know of their macros. */
#define HASH_ITER(hh, head, el, tmp) for ((el) = (head); (el) && ((tmp) = (el)->hh.next, true); (el) = (tmp))
#define HASH_FIND(hh, head, key, len, out) ((out) = find_in_table(head, key, len))
#define HASH_FIND_STR(head, key, out) ((out) = find_in_table(head, key, 0))
#define cJSON_ArrayForEach(element, array) for ((element) = (array) ? (array)->child : NULL; (element); (element) = (element)->next)

// SPDX-License-Identifier: Apache-2.0

// Command cri asks a container runtime for pods, as the kubelet does:
//
//	cri SOCKET run NAMESPACE NAME UID IMAGE COMMAND…   a sandbox with one container; prints the sandbox's id and its addresses
//	cri SOCKET stop ID                                 ends the sandbox, and removes it
//	cri SOCKET ready                                   whether runtime and network are ready
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func run(ctx context.Context, runtime cri.RuntimeServiceClient, namespace, name, uid, image string, command []string) error {
	pod := &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Namespace: namespace, Name: name, Uid: uid},
		LogDirectory: "/run/pod-logs/" + name,
		Linux:        &cri.LinuxPodSandboxConfig{},
	}
	sandbox, err := runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: pod})
	if err != nil {
		return err
	}
	made, err := runtime.CreateContainer(ctx, &cri.CreateContainerRequest{
		PodSandboxId:  sandbox.PodSandboxId,
		SandboxConfig: pod,
		Config: &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: "main"},
			Image:    &cri.ImageSpec{Image: image},
			Command:  command,
			LogPath:  "main",
			Linux:    &cri.LinuxContainerConfig{},
		},
	})
	if err != nil {
		return err
	}
	if _, err := runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: made.ContainerId}); err != nil {
		return err
	}
	status, err := runtime.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: sandbox.PodSandboxId})
	if err != nil {
		return err
	}
	fmt.Print(sandbox.PodSandboxId, " ", status.Status.Network.Ip)
	for _, ip := range status.Status.Network.AdditionalIps {
		fmt.Print(" ", ip.Ip)
	}
	fmt.Println()
	return nil
}

func stop(ctx context.Context, runtime cri.RuntimeServiceClient, id string) error {
	if _, err := runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: id}); err != nil {
		return err
	}
	_, err := runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: id})
	return err
}

func ready(ctx context.Context, runtime cri.RuntimeServiceClient) error {
	answer, err := runtime.Status(ctx, &cri.StatusRequest{})
	if err != nil {
		return err
	}
	for _, condition := range answer.Status.Conditions {
		if !condition.Status {
			return fmt.Errorf("%s: %s", condition.Type, condition.Message)
		}
	}
	return nil
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	connection, err := grpc.NewClient("unix://"+os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err == nil {
		runtime := cri.NewRuntimeServiceClient(connection)
		switch args := os.Args[3:]; os.Args[2] {
		case "run":
			err = run(ctx, runtime, args[0], args[1], args[2], args[3], args[4:])
		case "stop":
			err = stop(ctx, runtime, args[0])
		case "ready":
			err = ready(ctx, runtime)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cri:", err)
		os.Exit(1)
	}
}

// SPDX-License-Identifier: Apache-2.0

// Command memlog is a trillian in memory, log server and signer in one, for the
// Rekor of the tests. It prints where it listens, and ends with its standard
// input.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/google/trillian"
	"github.com/google/trillian/extension"
	"github.com/google/trillian/log"
	"github.com/google/trillian/monitoring"
	"github.com/google/trillian/quota"
	"github.com/google/trillian/server"
	"github.com/google/trillian/server/admin"
	"github.com/google/trillian/storage/memory"
	"github.com/google/trillian/util/clock"
	"github.com/google/trillian/util/election2"
	"google.golang.org/grpc"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := serve(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "memlog:", err)
		os.Exit(1)
	}
}

// serve serves until the context ends.
func serve(ctx context.Context) error {
	trees := memory.NewTreeStorage()
	registry := extension.Registry{
		AdminStorage:    memory.NewAdminStorage(trees),
		LogStorage:      memory.NewLogStorage(trees, monitoring.InertMetricFactory{}),
		QuotaManager:    quota.Noop(),
		ElectionFactory: election2.NoopFactory{},
		MetricFactory:   monitoring.InertMetricFactory{},
	}
	s := grpc.NewServer()
	trillian.RegisterTrillianAdminServer(s, admin.New(registry, nil))
	trillian.RegisterTrillianLogServer(s, server.NewTrillianLogRPCServer(registry, clock.System))
	go log.NewOperationManager(log.OperationInfo{
		Registry: registry, BatchSize: 50, NumWorkers: 1, RunInterval: 50 * time.Millisecond, TimeSource: clock.System,
	}, log.NewSequencerManager(registry, 0)).OperationLoop(ctx)
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	context.AfterFunc(ctx, s.Stop)
	return s.Serve(l)
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
)

// sample is a small image as an OCI layout; tools/sample makes it.
//
//go:embed all:sample
var sample embed.FS

const demoHelp = `cfs-label demo starts a registry on this machine, pushes a small image that the
program brings along, seals it as cfs-label IMAGE does, and shows what the image
holds then. It needs no network and leaves nothing behind.`

func demoCommand(t *terminal) *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Seal a sample image in a registry of its own",
		Long:  demoHelp,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd, t, keep)
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the registry up until interrupted, to look at it with other tools")
	return cmd
}

func demo(cmd *cobra.Command, t *terminal, keep bool) error {
	ctx := cmd.Context()
	host, stop, err := startRegistry(ctx)
	if err != nil {
		return err
	}
	defer stop()
	name := host + "/demo/sample:latest"
	s := &sealCommand{terminal: t}
	ref, err := s.source.net.open(cmd, t, name)
	if err != nil {
		return err
	}
	before, err := pushSample(ctx, ref)
	if err != nil {
		return err
	}
	t.say("a registry on %s holds the sample image, %s", host, before.Digest)
	t.say("now: cfs-label %s", name)
	o := cfslabel.LabelOptions{Options: cfslabel.Options{Progress: newProgress(t), Warn: t.warn}}
	if err := s.seal(ctx, ref, o); err != nil {
		return err
	}
	if err := show(ctx, t, ref); err != nil {
		return err
	}
	if !keep {
		return nil
	}
	t.say("the registry stays up until you press Ctrl-C; try for example")
	t.say("  cfs-label compute %s", name)
	t.say("  crane manifest %s", name)
	t.say("  skopeo inspect --tls-verify=false docker://%s", name)
	<-ctx.Done()
	return nil
}

// startRegistry serves an empty registry in memory, on a free port.
func startRegistry(ctx context.Context) (host string, stop func(), err error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{
		Handler:           registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)),
		ReadHeaderTimeout: time.Minute,
	}
	go func() { _ = server.Serve(l) }() // ends when it is closed
	return l.Addr().String(), func() { _ = server.Close() }, nil
}

// pushSample pushes the embedded image.
func pushSample(ctx context.Context, ref *remote.Ref) (v1.Descriptor, error) {
	index, err := fs.ReadFile(sample, "sample/index.json")
	if err != nil {
		return v1.Descriptor{}, err
	}
	var top v1.IndexManifest
	if err := json.Unmarshal(index, &top); err != nil {
		return v1.Descriptor{}, err
	}
	d := top.Manifests[0]
	raw, err := sampleBlob(d)
	if err != nil {
		return d, err
	}
	m, err := image.ParseManifest(raw, d.MediaType)
	if err != nil {
		return d, err
	}
	for _, b := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		data, err := sampleBlob(b)
		if err != nil {
			return d, err
		}
		if err := ref.Repo.PushBlob(ctx, b, data); err != nil {
			return d, err
		}
	}
	return d, ref.Repo.Tag(ctx, ref.Tag, d, raw, "")
}

func sampleBlob(d v1.Descriptor) ([]byte, error) {
	return fs.ReadFile(sample, fmt.Sprintf("sample/blobs/%s/%s", d.Digest.Algorithm, d.Digest.Hex))
}

// show reads the image back and tells what it holds.
func show(ctx context.Context, t *terminal, ref *remote.Ref) error {
	d, raw, err := ref.Resolve(ctx)
	if err != nil {
		return err
	}
	m, err := image.ParseManifest(raw, d.MediaType)
	if err != nil {
		return err
	}
	data, err := ref.Repo.BlobBytes(ctx, m.Config, image.MaxConfigSize)
	if err != nil {
		return err
	}
	config, err := image.ParseConfig(data)
	if err != nil {
		return err
	}
	t.say("read back from the registry, the image holds")
	t.say("  label %s=%s", image.LabelKey, config.Labels[image.LabelKey])
	for _, role := range image.Roles() {
		key := image.AnnotationKey(role, fsverity.SHA512)
		if v, ok := m.Annotations[key]; ok {
			t.say("  annotation of the manifest %s=%s", key, v)
		}
		if v, ok := m.Config.Annotations[key]; ok {
			t.say("  annotation of the config descriptor %s=%s", key, v)
		}
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cfs-label/cfs-label/internal/ukitest"
)

// cmdUKI makes a UKI with a kernel command line.
func cmdUKI(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, unlimited, "uki FILE ARGUMENT...")
	file := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(file), 0o755))
	ts.Check(os.WriteFile(file, ukitest.CommandLine(strings.Join(args[1:], " ")), 0o600))
}

// cmdPack makes an OCI layout whose image has a layer for each directory, in the
// order of the arguments, all of root and of one time.
func cmdPack(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, unlimited, "pack LAYOUT DIR...")
	layout := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Join(layout, "blobs", "sha256"), 0o755))
	put := func(mediaType string, data []byte) string {
		sum := sha256.Sum256(data)
		name := hex.EncodeToString(sum[:])
		ts.Check(os.WriteFile(filepath.Join(layout, "blobs", "sha256", name), data, 0o600))
		return fmt.Sprintf(`{"mediaType":%q,"digest":"sha256:%s","size":%d}`, mediaType, name, len(data))
	}
	var layers, diffIDs []string
	for _, dir := range args[1:] {
		d := put("application/vnd.oci.image.layer.v1.tar", tarDir(ts, ts.MkAbs(dir)))
		layers = append(layers, d)
		_, rest, _ := strings.Cut(d, `"digest":`)
		digest, _, _ := strings.Cut(rest, ",")
		diffIDs = append(diffIDs, digest)
	}
	config := put("application/vnd.oci.image.config.v1+json", fmt.Appendf(nil,
		`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[%s]}}`, strings.Join(diffIDs, ",")))
	manifest := put("application/vnd.oci.image.manifest.v1+json", fmt.Appendf(nil,
		`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}`, config, strings.Join(layers, ",")))
	named := strings.TrimSuffix(manifest, "}") + `,"annotations":{"org.opencontainers.image.ref.name":"latest"}}`
	ts.Check(os.WriteFile(filepath.Join(layout, "index.json"), []byte(`{"schemaVersion":2,"manifests":[`+named+`]}`), 0o600))
	ts.Check(os.WriteFile(filepath.Join(layout, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o600))
}

// tarDir makes an archive of what is in a directory, in the order of names.
func tarDir(ts *testscript.TestScript, dir string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	ts.Check(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		link := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			if link, err = os.Readlink(path); err != nil {
				return err
			}
		}
		h, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		h.Name = strings.TrimPrefix(path, dir+string(filepath.Separator))
		h.Uid, h.Gid, h.Uname, h.Gname, h.ModTime = 0, 0, "", "", time.Unix(1_700_000_000, 0)
		if h.Mode = 0o644; info.IsDir() {
			h.Name, h.Mode = h.Name+"/", 0o755
		}
		if err := w.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	}))
	ts.Check(w.Close())
	return b.Bytes()
}

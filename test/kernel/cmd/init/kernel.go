// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/cfs-label/cfs-label/test/kernel/plan"
)

// algorithms are the kernel's numbers (linux/include/uapi/linux/fsverity.h).
var algorithms = map[string]uint32{"sha256": unix.FS_VERITY_HASH_ALG_SHA256, "sha512": unix.FS_VERITY_HASH_ALG_SHA512}

// loadModules loads the modules of /modules in the order of their names.
func loadModules() error {
	files, err := filepath.Glob("/modules/*.ko")
	if err != nil {
		return err
	}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(file.Fd()), "", 0)
		file.Close()
		if err != nil {
			return fmt.Errorf("module %s: %w", name, err)
		}
	}
	return nil
}

// findKeyring returns the number of the keyring with that name.
func findKeyring(name string) (int, error) {
	text, err := os.ReadFile("/proc/keys")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line) // ID flags usage expiry permissions uid gid type description
		if len(fields) > 8 && fields[7] == "keyring" && fields[8] == name+":" {
			id, err := strconv.ParseUint(fields[0], 16, 31)
			return int(id), err
		}
	}
	return 0, fmt.Errorf("the kernel has no keyring %s", name)
}

// try gives a new file with the content fs-verity with the case's signature.
// The error is the kernel's, or that the kernel has another digest than we.
func try(name string, c plan.Case, digests map[string]string) error {
	path := filepath.Join(folder, name)
	data, err := os.ReadFile(content + c.Algorithm)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return err
	}
	if err := enable(path, c); err != nil {
		return err
	}
	// The inode is thrown away here, so that the next open reads the signature
	// from the disk.
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0o200); err != nil {
		return err
	}
	digest, err := measure(path)
	if err != nil {
		return err
	}
	if digest != digests[c.Algorithm] {
		return fmt.Errorf("the kernel has digest %s, cfs-label %s", digest, digests[c.Algorithm])
	}
	again, err := os.ReadFile(path)
	if err == nil && !bytes.Equal(again, data) {
		return fmt.Errorf("%s reads differently", path)
	}
	return err
}

// enable calls FS_IOC_ENABLE_VERITY.
func enable(path string, c plan.Case) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	arg := unix.FsverityEnableArg{Version: 1, Hash_algorithm: algorithms[c.Algorithm], Block_size: 4096}
	var pin runtime.Pinner
	defer pin.Unpin()
	if len(c.Signature) > 0 {
		pin.Pin(&c.Signature[0])
		arg.Sig_size = uint32(len(c.Signature)) //nolint:gosec // a few kilobytes
		arg.Sig_ptr = uint64(uintptr(unsafe.Pointer(&c.Signature[0])))
	}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), unix.FS_IOC_ENABLE_VERITY, uintptr(unsafe.Pointer(&arg)))
	if errno != 0 {
		return errno
	}
	return nil
}

// measure returns what FS_IOC_MEASURE_VERITY gives, in hexadecimal.
func measure(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	arg := struct { // struct fsverity_digest
		Algorithm uint16
		Size      uint16 // in bytes; in: of Digest
		Digest    [64]byte
	}{Size: 64}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), unix.FS_IOC_MEASURE_VERITY, uintptr(unsafe.Pointer(&arg)))
	if errno != 0 {
		return "", errno
	}
	return hex.EncodeToString(arg.Digest[:arg.Size]), nil
}

// SPDX-License-Identifier: Apache-2.0

// Command init is the only program in the machine of the kernel test: it does
// what the plan says and writes outcomes, a line each, to the second serial
// port. Then it turns the machine off.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/cfs-label/cfs-label/test/kernel/plan"
)

// Where things are in the machine.
const (
	answers = "/dev/ttyS1"
	folder  = "/ext4"                                  // the disk
	require = "/proc/sys/fs/verity/require_signatures" // 1: no file without
	content = "/image."                                // and the algorithm
)

func main() {
	if err := mountAll(); err != nil {
		fmt.Fprintln(os.Stdout, err)
	}
	out, err := os.OpenFile(answers, os.O_WRONLY, 0)
	if err == nil {
		if err := run(out); err != nil {
			fmt.Fprintf(out, "fatal\t%v\n", err)
		}
	}
	fmt.Fprintln(os.Stdout, "done:", err)
	unix.Sync()
	fmt.Fprintln(os.Stdout, unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF))
}

func mountAll() error {
	for _, m := range [][3]string{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}} {
		if err := os.MkdirAll(m[1], 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m[0], m[1], m[0], 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m[1], err)
		}
	}
	return nil
}

func run(out *os.File) error {
	tell := func(name string, err error) { fmt.Fprintf(out, "%s\t%s\n", name, outcome(err)) }
	var system unix.Utsname
	if err := unix.Uname(&system); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\t%s\n", plan.Version, unix.ByteSliceToString(system.Release[:]))

	text, err := os.ReadFile("/plan.json")
	if err != nil {
		return err
	}
	var p plan.Plan
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	if err := loadModules(); err != nil {
		return err
	}
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("/dev/vda", folder, "ext4", 0, ""); err != nil {
		return fmt.Errorf("mount ext4: %w", err)
	}
	keyring, err := findKeyring(".fs-verity")
	if err != nil {
		return err
	}
	for _, c := range p.Certificates {
		_, err := unix.AddKey("asymmetric", "", c.DER, keyring)
		tell("certificate: "+c.Name, err)
	}
	unsigned := plan.Case{Name: plan.Unsigned, Algorithm: "sha512"}
	tell(plan.Unsigned, try("unsigned", unsigned, p.Digests))
	if err := os.WriteFile(require, []byte("1"), 0o644); err != nil {
		return err
	}
	sealed := ""
	for i, c := range p.Cases {
		name := fmt.Sprintf("file%d", i)
		err := try(name, c, p.Digests)
		tell(c.Name, err)
		if err == nil {
			sealed = name
		}
	}
	tell(plan.Mounted, mountImage(filepath.Join(folder, sealed), p.Root))
	return nil
}

// outcome returns how the plan calls an error: the name of the kernel's.
func outcome(err error) string {
	switch e, ok := err.(unix.Errno); { //nolint:errorlint // what the kernel said, and nothing around it
	case err == nil:
		return plan.Taken
	case ok && unix.ErrnoName(e) != "":
		return unix.ErrnoName(e)
	}
	return strings.ReplaceAll(err.Error(), "\n", " ")
}

// mountImage mounts the composefs image in the file, and compares the names in
// its root.
func mountImage(file string, want []string) error {
	const at = "/mnt"
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(file, at, "erofs", unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("mount erofs %s: %w", file, err)
	}
	entries, err := os.ReadDir(at)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	// The kernel's names have no order; overlayfs' whiteouts of the format V1,
	// 00 to ff, are not in the dump.
	names = slices.DeleteFunc(names, isStub)
	slices.Sort(names)
	if !slices.Equal(names, want) {
		return fmt.Errorf("names %q, wanted %q", names, want)
	}
	return nil
}

func isStub(name string) bool { return len(name) == 2 && strings.Trim(name, "0123456789abcdef") == "" }

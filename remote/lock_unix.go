// SPDX-License-Identifier: Apache-2.0

//go:build unix && !solaris && !aix

package remote

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lockPoll is how often a lock is tried that somebody else has.
const lockPoll = 20 * time.Millisecond

// lockFile takes the lock of a file (flock(2)) that must be there, and waits
// for it until ctx is done. It ends with the process, whatever happens.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	for {
		f, err := tryLock(path)
		if f != nil {
			return func() { _ = f.Close() }, nil
		}
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if err := pause(ctx, lockPoll); err != nil {
			return nil, fmt.Errorf("lock %s, which another program has locked: %w", path, err)
		}
	}
}

// tryLock returns the locked file, or nil if somebody else has the lock or
// replaced the file meanwhile.
func tryLock(path string) (*os.File, error) {
	// NFS locks only what is open for writing.
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrPermission) {
		f, err = os.Open(path)
	}
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil && isStill(f, path) {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
		err = nil
	}
	return nil, err
}

func isStill(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

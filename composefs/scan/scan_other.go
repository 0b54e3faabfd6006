// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package scan

import (
	"context"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// Dir returns ErrPlatform.
func Dir(_ context.Context, path string, _ Options) (*tree.Tree, error) {
	return nil, &Error{path, ErrPlatform}
}

// File returns ErrPlatform.
func File(dir, path string, _ int) ([]byte, error) {
	return nil, &Error{dir + "/" + path, ErrPlatform}
}

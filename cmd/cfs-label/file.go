// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// smallMax is the size of the largest key, certificate or token that is read, in
// bytes.
const smallMax = 1 << 20

// readSmall reads the file that a flag names, which may be a pipe.
func readSmall(flag, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, discreetly(path, err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, smallMax+1))
	if err == nil && len(b) > smallMax {
		err = fmt.Errorf("%s has more than %d bytes", path, smallMax)
	}
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	return b, nil
}

// discreetly returns the error of a file. What can be no file's name may be a key
// in its place, and is not shown.
func discreetly(path string, err error) error {
	p, ok := errors.AsType[*fs.PathError](err)
	if ok && (len(path) > nameMax || strings.ContainsAny(path, "\r\n") || strings.Contains(path, "-----BEGIN")) {
		return fmt.Errorf("what is given is no name of a file: %w", p.Err)
	}
	return err
}

// nameMax is the length of the longest name of a file that is shown, in bytes.
const nameMax = 255

// The flags for signatures that the kernel takes.
const (
	kernelKeyFlag  = "fsverity-key"
	kernelCertFlag = "fsverity-cert"
)

// kernelKey reads a key and its certificate.
func (t *terminal) kernelKey(keyFile, certFile string) (*pkcs7.Key, error) {
	key, err := readSmall(kernelKeyFlag, keyFile)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	cert, err := readSmall(kernelCertFlag, certFile)
	if err != nil {
		return nil, err
	}
	k, err := pkcs7.LoadKey(key, cert)
	if err != nil {
		return nil, fmt.Errorf("--%s %s, --%s %s: %w", kernelKeyFlag, keyFile, kernelCertFlag, certFile, err)
	}
	t.warnOfCertificate(certFile, k.Certificate())
	return k, nil
}

// kernelCertificate reads a certificate.
func (t *terminal) kernelCertificate(file string) (*pkcs7.Certificate, error) {
	text, err := readSmall(kernelCertFlag, file)
	if err != nil {
		return nil, err
	}
	c, err := pkcs7.LoadCertificate(text)
	if err != nil {
		return nil, fmt.Errorf("--%s %s: %w", kernelCertFlag, file, err)
	}
	t.warnOfCertificate(file, c)
	return c, nil
}

func (t *terminal) warnOfCertificate(file string, c *pkcs7.Certificate) {
	if text := c.Warning(time.Now()); text != "" {
		t.warn(file + ": " + text)
	}
}

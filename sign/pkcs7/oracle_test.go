// SPDX-License-Identifier: Apache-2.0

package pkcs7_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/internal/oracle"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// TestSignIsFsveritySign: for an RSA key, Sign gives the bytes that "fsverity
// sign" writes; what that writes for ECDSA, which is never twice the same, is
// what Verify takes.
func TestSignIsFsveritySign(t *testing.T) {
	program := oracle.Require(t, "fsverity")
	for _, kind := range kinds {
		for _, alg := range algorithms {
			t.Run(kind+"/"+alg.String(), func(t *testing.T) {
				p := newPair(t, kind)
				content := bytes.Repeat([]byte("content\n"), 1000)
				d := fsverity.Sum(alg, content)
				f := newFolder(t, p, d)
				f.write(t, "file", content)
				f.run(t, program, "sign", "file", "theirs", "--key=key.pem", "--cert=cert.pem", "--hash-alg="+alg.String())
				theirs, ours := f.read(t, "theirs"), p.sign(t, d)
				if kind[0] == 'r' && !bytes.Equal(ours, theirs) {
					t.Errorf("ours   %x\ntheirs %x", ours, theirs)
				}
				if err := p.load(t).Certificate().Verify(d, theirs); err != nil {
					t.Error(err)
				}
				wrapped, err := pkcs7.Wrap(theirs, p.load(t).Certificate(), d)
				if err != nil || !bytes.Equal(wrapped, theirs) {
					t.Errorf("wrapping changes it (%v):\nwas %x\nis  %x", err, theirs, wrapped)
				}
			})
		}
	}
}

// TestOpensslTakesOurs: openssl verifies what Sign and Wrap give.
func TestOpensslTakesOurs(t *testing.T) {
	program := oracle.Require(t, "openssl")
	for _, kind := range kinds {
		for _, alg := range algorithms {
			t.Run(kind+"/"+alg.String(), func(t *testing.T) {
				p, d := newPair(t, kind), digestOf(t, alg, 7)
				wrapped, err := pkcs7.Wrap(p.raw(t, d, hashOf(alg)), p.load(t).Certificate(), d)
				if err != nil {
					t.Fatal(err)
				}
				f := newFolder(t, p, d)
				for _, der := range [][]byte{p.sign(t, d), wrapped} {
					f.write(t, "sig", der)
					f.run(t, program, "cms", "-verify", "-binary", "-inform", "DER", "-in", "sig", "-content", "tbs",
						"-certfile", "cert.pem", "-CAfile", "cert.pem", "-purpose", "any", "-out", "out")
				}
			})
		}
	}
}

// TestWrapOpenssl: what openssl writes becomes the message of the kernel's
// form where that is possible, and else the error says why.
func TestWrapOpenssl(t *testing.T) {
	program := oracle.Require(t, "openssl")
	cms := []string{"cms", "-sign", "-binary", "-in", "tbs", "-inkey", "key.pem", "-signer", "cert.pem", "-outform", "DER", "-out", "sig"}
	tests := []struct {
		name   string
		args   []string
		want   error
		verify error // what Verify says of it as it is
	}{
		{"raw", []string{"dgst", "-sha512", "-sign", "key.pem", "-out", "sig", "tbs"}, nil, pkcs7.ErrFormat},
		{"raw of pkeyutl", []string{"pkeyutl", "-sign", "-rawin", "-digest", "sha512", "-inkey", "key.pem", "-in", "tbs", "-out", "sig"}, nil, pkcs7.ErrFormat},
		{"raw with another hash", []string{"dgst", "-sha256", "-sign", "key.pem", "-out", "sig", "tbs"}, pkcs7.ErrOtherDigest, pkcs7.ErrFormat},
		{"bare", append(cms, "-md", "sha512", "-noattr", "-nocerts"), nil, nil},
		{"key identifier", append(cms, "-md", "sha512", "-noattr", "-nocerts", "-keyid"), nil, nil},
		{"certificate inside", append(cms, "-md", "sha512", "-noattr"), nil, pkcs7.ErrFormat},
		{"not detached", append(cms, "-md", "sha512", "-noattr", "-nocerts", "-nodetach"), nil, pkcs7.ErrFormat},
		{"PKCS#7 of smime", []string{
			"smime", "-sign", "-binary", "-in", "tbs", "-inkey", "key.pem", "-signer", "cert.pem",
			"-outform", "DER", "-out", "sig", "-md", "sha512", "-noattr",
		}, nil, pkcs7.ErrFormat},
		{"attributes", append(cms, "-md", "sha512", "-nocerts"), pkcs7.ErrAttributes, pkcs7.ErrAttributes},
		{"another hash", append(cms, "-md", "sha256", "-noattr", "-nocerts"), pkcs7.ErrAlgorithm, pkcs7.ErrAlgorithm},
		{"stream", append(cms, "-md", "sha512", "-noattr", "-nocerts", "-nodetach", "-stream"), pkcs7.ErrFormat, pkcs7.ErrFormat},
		{"PEM", append(cms, "-md", "sha512", "-noattr", "-nocerts", "-outform", "PEM"), pkcs7.ErrFormat, pkcs7.ErrFormat},
		{"S/MIME", append(cms, "-md", "sha512", "-noattr", "-nocerts", "-outform", "SMIME"), pkcs7.ErrFormat, pkcs7.ErrFormat},
	}
	for _, kind := range []string{"rsa2048", "p256"} {
		p, d := newPair(t, kind), digestOf(t, fsverity.SHA512, 7)
		cert := p.load(t).Certificate()
		for _, test := range tests {
			t.Run(kind+"/"+test.name, func(t *testing.T) {
				f := newFolder(t, p, d)
				f.run(t, program, test.args...)
				made := f.read(t, "sig")
				if err := cert.Verify(d, made); !errors.Is(err, test.verify) {
					t.Errorf("Verify of it: %v, want %v", err, test.verify)
				}
				wrapped, err := pkcs7.Wrap(made, cert, d)
				if !errors.Is(err, test.want) {
					t.Fatalf("error %v, want %v", err, test.want)
				}
				if test.want != nil {
					return
				}
				if err := cert.Verify(d, wrapped); err != nil {
					t.Error(err)
				}
				if kind == "rsa2048" && !bytes.Equal(wrapped, p.sign(t, d)) {
					t.Errorf("is not what Sign gives: %x", wrapped)
				}
			})
		}
	}
}

// TestWrapPSS: a message with another padding than the kernel's is refused.
func TestWrapPSS(t *testing.T) {
	program := oracle.Require(t, "openssl")
	p, d := newPair(t, "rsa2048"), digestOf(t, fsverity.SHA512, 7)
	f := newFolder(t, p, d)
	f.run(t, program, "cms", "-sign", "-binary", "-in", "tbs", "-inkey", "key.pem", "-signer", "cert.pem",
		"-keyopt", "rsa_padding_mode:pss", "-md", "sha512", "-noattr", "-nocerts", "-outform", "DER", "-out", "sig")
	made := f.read(t, "sig")
	if _, err := pkcs7.Wrap(made, p.load(t).Certificate(), d); !errors.Is(err, pkcs7.ErrAlgorithm) {
		t.Errorf("error %v, want %v", err, pkcs7.ErrAlgorithm)
	}
}

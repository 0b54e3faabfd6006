// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdHSM signs every file to be signed of a directory, by a key that the program
// does not have. The certificate is in NAME.pem, the key in NAME.key; both are
// made where they are not there.
func cmdHSM(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, 2, "hsm NAME DIR")
	key := hsmKey(ts, args[0])
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[1]), "*.tbs"))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("%s has nothing to be signed", args[1])
	}
	for _, file := range files {
		hash := crypto.SHA512
		if strings.Contains(filepath.Base(file), "sha256.") {
			hash = crypto.SHA256
		}
		data, err := os.ReadFile(file)
		ts.Check(err)
		h := hash.New()
		h.Write(data)
		signature, err := rsa.SignPKCS1v15(nil, key, hash, h.Sum(nil))
		ts.Check(err)
		ts.Check(os.WriteFile(strings.TrimSuffix(file, ".tbs")+".sig", signature, 0o600))
	}
}

// hsmKey returns the key of that name.
func hsmKey(ts *testscript.TestScript, name string) *rsa.PrivateKey {
	file := ts.MkAbs(name + ".key")
	if data, err := os.ReadFile(file); err == nil {
		block, _ := pem.Decode(data)
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		ts.Check(err)
		return key
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	ts.Check(err)
	like := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
	}
	if name == "expired" {
		like.NotAfter = time.Unix(1, 0)
	}
	der, err := x509.CreateCertificate(rand.Reader, like, like, key.Public(), key)
	ts.Check(err)
	for _, f := range []struct {
		name  string
		block pem.Block
	}{
		{name + ".key", pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}},
		{name + ".pem", pem.Block{Type: "CERTIFICATE", Bytes: der}},
	} {
		ts.Check(os.WriteFile(ts.MkAbs(f.name), pem.EncodeToMemory(&f.block), 0o600))
	}
	return key
}

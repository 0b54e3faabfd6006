// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
	"github.com/cfs-label/cfs-label/test/kernel/plan"
)

// maker collects the plan. The first error stays.
type maker struct {
	plan       plan.Plan
	identities map[string]identity
	digests    map[fsverity.Algorithm]fsverity.Digest
	err        error
}

// makePlan writes the plan for a composefs image and its dump. The image is in
// one file for each algorithm, with its name at the end: what the image says of
// other files is in that algorithm.
func makePlan(imageFile, dumpFile, planFile string) error {
	dump, err := os.ReadFile(dumpFile)
	if err != nil {
		return err
	}
	m := &maker{identities: map[string]identity{}, digests: map[fsverity.Algorithm]fsverity.Digest{}}
	m.plan.Root = rootOf(string(dump))
	m.plan.Digests = map[string]string{}
	for _, alg := range []fsverity.Algorithm{fsverity.SHA256, fsverity.SHA512} {
		content, err := os.ReadFile(imageFile + "." + alg.String())
		if err != nil {
			return err
		}
		m.digests[alg] = fsverity.Sum(alg, content)
		m.plan.Digests[alg.String()] = m.digests[alg].String()
	}
	m.makeIdentities()
	m.makeGood()
	m.makeBad()
	m.makeStricter()
	if m.err != nil {
		return m.err
	}
	text, err := json.MarshalIndent(m.plan, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(planFile, text, 0o600)
}

// rootOf returns the names in the root of a dump, sorted.
func rootOf(dump string) []string {
	var names []string
	for line := range strings.Lines(dump) {
		path, _, _ := strings.Cut(line, " ")
		if name := strings.TrimPrefix(path, "/"); name != "" && !strings.Contains(name, "/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// kinds are the keys of the test. Those with an outcome go into the keyring.
var kinds = []struct {
	name   string
	number int64
	makes  func() (crypto.Signer, error)
	kernel string
}{
	{"RSA 2048", 1, func() (crypto.Signer, error) { return newRSA(2048) }, plan.Taken},
	{"RSA 3072", 2, func() (crypto.Signer, error) { return newRSA(3072) }, plan.Taken},
	{"RSA 4096", 3, func() (crypto.Signer, error) { return newRSA(4096) }, plan.Taken},
	{"ECDSA P-256", 4, newECDSA(elliptic.P256()), plan.Taken},
	{"ECDSA P-384", 5, newECDSA(elliptic.P384()), plan.Taken},
	{"ECDSA P-521", 6, newECDSA(elliptic.P521()), plan.Taken},
	{expired, 7, func() (crypto.Signer, error) { return newRSA(2048) }, plan.Taken},
	{"RSA 2560", 8, func() (crypto.Signer, error) { return newRSA(2560) }, "EINVAL"},
	{stranger, 9, func() (crypto.Signer, error) { return newRSA(2048) }, ""},
	// The same name and number as the first.
	{impostor, 1, func() (crypto.Signer, error) { return newRSA(2048) }, ""},
}

const (
	main2048 = "RSA 2048"
	expired  = "RSA 2048 with an expired certificate"
	stranger = "not in the keyring"
	impostor = "with the same name and number"
)

func (m *maker) makeIdentities() {
	for _, k := range kinds {
		key, err := k.makes()
		m.fail(k.name, err)
		if m.err != nil {
			return
		}
		until := time.Now().AddDate(5, 0, 0)
		if k.name == expired {
			until = time.Now().AddDate(-1, 0, 0)
		}
		id, err := newIdentity(key, k.number, until)
		m.fail(k.name, err)
		m.identities[k.name] = id
		if k.kernel != "" {
			m.plan.Certificates = append(m.plan.Certificates, plan.Certificate{Name: k.name, DER: id.der, Kernel: k.kernel})
		}
	}
}

func (m *maker) fail(what string, err error) {
	if err != nil && m.err == nil {
		m.err = fmt.Errorf("%s: %w", what, err)
	}
}

// add adds a case. ours is what cfs-label must say with the certificate.
func (m *maker) add(name string, alg fsverity.Algorithm, with string, signature []byte, err error, kernel, ours string) {
	name = fmt.Sprintf("%s, %s", alg, name)
	m.fail(name, err)
	if m.err != nil {
		return
	}
	cert, err := pkcs7.LoadCertificate(m.identities[with].certPEM)
	m.fail(name, err)
	if m.err != nil {
		return
	}
	verdict := plan.Taken
	if cert.Verify(m.digests[alg], signature) != nil {
		verdict = plan.Refused
	}
	m.plan.Cases = append(m.plan.Cases, plan.Case{
		Name: name, Algorithm: alg.String(), Signature: signature, Kernel: kernel, Ours: ours, Verdict: verdict,
	})
}

// makeGood adds what kernel and cfs-label both take.
func (m *maker) makeGood() {
	for _, alg := range []fsverity.Algorithm{fsverity.SHA256, fsverity.SHA512} {
		d := m.digests[alg]
		for _, k := range kinds {
			if k.kernel == plan.Taken {
				der, err := m.identities[k.name].sign(d)
				m.add(k.name, alg, k.name, der, err, plan.Taken, plan.Taken)
			}
		}
		for _, k := range []string{main2048, "ECDSA P-256"} {
			der, err := m.identities[k].raw(d)
			m.add(k+", made by openssl dgst, wrapped", alg, k, der, err, plan.Taken, plan.Taken)
		}
		der, err := m.identities[main2048].cms(d, "-md", alg.String(), "-noattr", "-nocerts", "-keyid")
		m.add("openssl cms with a key identifier", alg, main2048, der, err, plan.Taken, plan.Taken)
	}
}

// makeBad adds what kernel and cfs-label both refuse.
func (m *maker) makeBad() {
	for alg, d := range m.each() {
		good, err := m.identities[main2048].sign(d)
		m.add("no signature", alg, main2048, nil, err, "EPERM", plan.Refused)
		m.add("cut off", alg, main2048, good[:len(good)-1], nil, "EBADMSG", plan.Refused)
		m.add("a byte changed in the signature's value", alg, main2048, flip(good, len(good)-9), nil, "EKEYREJECTED", plan.Refused)
		named := bytes.Replace(good, rsaEncryption, rsaWith[alg], 1)
		m.add("named "+alg.String()+"WithRSAEncryption", alg, main2048, named, nil, "ENOPKG", plan.Refused)
		m.add("larger than 16128 bytes", alg, main2048, append(bytes.Clone(good), make([]byte, pkcs7.MaxSize)...), nil, "EMSGSIZE", plan.Refused)

		other, err := fsverity.NewDigest(alg, bytes.Repeat([]byte{7}, alg.Size()))
		m.fail("digest", err)
		der, err := m.identities[main2048].sign(other)
		m.add("of another digest", alg, main2048, der, err, "EKEYREJECTED", plan.Refused)
		der, err = m.identities["ECDSA P-256"].sign(other)
		m.add("ECDSA of another digest", alg, "ECDSA P-256", der, err, "EKEYREJECTED", plan.Refused)
		der, err = m.identities[stranger].sign(d)
		m.add("by a key "+stranger, alg, main2048, der, err, "ENOKEY", plan.Refused)
		der, err = m.identities[main2048].cms(d, "-md", alg.String(), "-nocerts")
		m.add("openssl cms with attributes, S/MIME's too", alg, main2048, der, err, "EKEYREJECTED", plan.Refused)
		der, err = m.identities[impostor].sign(d)
		m.add("by a key "+impostor, alg, main2048, der, err, "EKEYREJECTED", plan.Refused)
	}
}

// makeStricter adds what the kernel takes and cfs-label does not.
func (m *maker) makeStricter() {
	id := m.identities[main2048]
	for alg, d := range m.each() {
		der, err := id.cms(d, "-md", alg.String(), "-nocerts", "-nosmimecap")
		m.add("openssl cms with attributes (-nosmimecap)", alg, main2048, der, err, plan.Taken, plan.Refused)
		der, err = id.cms(d, "-md", alg.String(), "-noattr")
		m.add("openssl cms with the certificate", alg, main2048, der, err, plan.Taken, plan.Refused)
		der, err = id.cms(d, "-md", "sha384", "-noattr", "-nocerts")
		m.add("openssl cms with another hash algorithm", alg, main2048, der, err, plan.Taken, plan.Refused)
		good, err := id.sign(d)
		m.add("a byte more at the end", alg, main2048, append(good, 0), err, plan.Taken, plan.Refused)
	}
}

// each goes over the algorithms in their order, while nothing has failed.
func (m *maker) each() func(yield func(fsverity.Algorithm, fsverity.Digest) bool) {
	return func(yield func(fsverity.Algorithm, fsverity.Digest) bool) {
		for _, alg := range []fsverity.Algorithm{fsverity.SHA256, fsverity.SHA512} {
			if m.err != nil || !yield(alg, m.digests[alg]) {
				return
			}
		}
	}
}

func flip(der []byte, at int) []byte {
	der = bytes.Clone(der)
	der[at] ^= 1
	return der
}

// Names of the signature algorithm, in DER (RFC 8017 A.2.4).
var (
	rsaEncryption = []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01")
	rsaWith       = map[fsverity.Algorithm][]byte{
		fsverity.SHA256: []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"),
		fsverity.SHA512: []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"),
	}
)

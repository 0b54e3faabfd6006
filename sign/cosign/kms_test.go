// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/common"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/handler"

	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
)

// pluginPrefix begins the names of the programs that hold keys.
const pluginPrefix = "sigstore-kms-"

// TestMain makes the binary of the tests such a program if it is called like one.
func TestMain(m *testing.M) {
	if name, ok := strings.CutPrefix(filepath.Base(os.Args[0]), pluginPrefix); ok {
		plugin(name)
		return
	}
	var err error
	if keysFolder, err = os.MkdirTemp("", "keys-of-tests-"); err != nil {
		panic(err)
	}
	m.Run()
	_ = os.RemoveAll(keysFolder)
}

// plugin is the program sigstore-kms-NAME: the key is in a file that its resource
// names, and NAME is what is wrong with the program.
func plugin(name string) {
	args, err := handler.GetPluginArgs(os.Args)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	if log, err := os.OpenFile(args.InitOptions.KeyResourceID+".args", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
		fmt.Fprintf(log, "%q\n", os.Args)
		_ = log.Close()
	}
	signs := args.MethodName == common.SignMessageMethodName
	switch {
	case name == "garbage", name == "late-garbage" && signs:
		fmt.Fprint(os.Stdout, "garbage")
	case name == "nothing", name == "late-nothing" && signs:
		fmt.Fprint(os.Stdout, "{}")
	case name == "failing", name == "late-failing" && signs:
		_ = handler.WriteErrorResponse(os.Stdout, errors.New("the token is locked"))
	case name == "wrong" && signs:
		_ = handler.WriteResponse(os.Stdout, &common.PluginResp{SignMessage: &common.SignMessageResp{Signature: []byte("another one")}})
	case name == "hanging" && signs:
		select {}
	default:
		raw, err := os.ReadFile(args.InitOptions.KeyResourceID)
		if err == nil {
			block, _ := pem.Decode(raw)
			var private any
			if private, err = x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
				var sv signature.SignerVerifier
				if sv, err = signature.LoadSignerVerifier(private, args.InitOptions.HashFunc); err == nil {
					_, err = handler.Dispatch(os.Stdout, os.Stdin, args, store{sv})
				}
			}
		}
		if err != nil {
			_ = handler.WriteErrorResponse(os.Stdout, err)
		}
	}
}

// store is a key with what else the protocol has.
type store struct{ signature.SignerVerifier }

func (store) CreateKey(context.Context, string) (crypto.PublicKey, error) {
	return nil, errors.ErrUnsupported
}

func (store) CryptoSigner(context.Context, func(error)) (crypto.Signer, crypto.SignerOpts, error) {
	return nil, nil, errors.ErrUnsupported
}

func (store) SupportedAlgorithms() []string { return nil }
func (store) DefaultAlgorithm() string      { return "" }

// install puts the program on PATH under a name.
func install(t *testing.T, name string) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	dir := t.TempDir()
	must(t, os.Symlink(self, filepath.Join(dir, pluginPrefix+name)))
	t.Setenv("PATH", dir)
}

// keyInStore writes a key for the program, and the public one.
func keyInStore(t *testing.T, private crypto.Signer) (path, public string) {
	t.Helper()
	dir := t.TempDir()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	path, public = filepath.Join(dir, "key"), filepath.Join(dir, "key.pub")
	must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	raw, err := cryptoutils.MarshalPublicKeyToPEM(private.Public())
	must(t, err)
	must(t, os.WriteFile(public, raw, 0o600))
	return path, public
}

// TestKMS: a program that speaks Sigstore's plug-in protocol signs in each format;
// the public key in a file, and the program, verify. It is started with the name
// of the key and the hash, and without anything that is signed.
func TestKMS(t *testing.T) {
	for _, kind := range []string{"p256", "p384", "rsa", "ed25519"} {
		t.Run(kind, func(t *testing.T) {
			install(t, "good")
			path, public := keyInStore(t, generate(t, kind))
			h := newHub(t, true)
			im := h.push(t, "a")
			o := cosign.SignOptions{Registry: h.registry(), Key: "good://" + path, NoTlog: true, Formats: both}
			s, err := cosign.NewSigner(o)
			must(t, err)
			must(t, s.Check(t.Context()))
			_, err = s.Sign(t.Context(), im)
			must(t, err)
			if has, err := s.Has(t.Context(), im); err != nil || !has {
				t.Errorf("has is %v, %v", has, err)
			}
			for _, key := range []string{public, o.Key} {
				got, err := verifyIt(t, cosign.VerifyOptions{Registry: h.registry(), Key: key, IgnoreTlog: true, Offline: key == public}, im)
				must(t, err)
				if len(got) != 2 || got[0].Err != nil || got[1].Err != nil {
					t.Errorf("found %+v", got)
				}
			}
			checkPluginArgs(t, path+".args")
		})
	}
}

// checkPluginArgs checks that a program was told nothing but which key, and what
// to do with it.
func checkPluginArgs(t *testing.T, log string) {
	t.Helper()
	raw, err := os.ReadFile(log)
	must(t, err)
	methods := map[string]bool{}
	for line := range bytes.Lines(raw) {
		var args []string
		must(t, json.Unmarshal([]byte(strings.ReplaceAll(strings.TrimSpace(string(line)), `" "`, `", "`)), &args))
		if len(args) != 3 || args[1] != common.ProtocolVersion {
			t.Errorf("started as %q", args)
		}
		var told common.PluginArgs
		must(t, json.Unmarshal([]byte(args[2]), &told))
		if told.VerifySignature != nil || told.SignMessage != nil && told.SignMessage.SignOptions.MessageOptions.Digest != nil {
			t.Errorf("told %s", args[2])
		}
		methods[told.MethodName] = true
	}
	if !methods[common.PublicKeyMethodName] || !methods[common.SignMessageMethodName] {
		t.Errorf("called %v", methods)
	}
}

// TestBadKMS: a program that is not there, fails, or answers anything, is an error
// that names the key, before or while signing, and no signature is stored.
func TestBadKMS(t *testing.T) {
	path, _ := keyInStore(t, generate(t, "p256"))
	for name, early := range map[string]bool{
		"missing": true, "garbage": true, "nothing": true, "failing": true,
		"late-garbage": false, "late-nothing": false, "late-failing": false, "wrong": false,
	} {
		t.Run(name, func(t *testing.T) {
			if install(t, name); name == "missing" {
				t.Setenv("PATH", t.TempDir())
			}
			for _, f := range both {
				h := newHub(t, true)
				im := h.push(t, "a")
				s, err := cosign.NewSigner(cosign.SignOptions{Registry: h.registry(), Key: name + "://" + path, NoTlog: true, Formats: []sign.Format{f}})
				must(t, err)
				err = s.Check(t.Context())
				if early != (err != nil) {
					t.Errorf("Check: %v", err)
				}
				if err == nil {
					_, err = s.Sign(t.Context(), im)
				}
				if !errors.Is(err, sign.ErrKeyFile) {
					t.Errorf("%s: got %v, want ErrKeyFile", f, err)
				}
				if strings.Contains(name, "failing") && !strings.Contains(err.Error(), "the token is locked") {
					t.Errorf("%s: the program's reason is missing: %v", f, err)
				}
				k := newP256(t)
				if _, err := verifyIt(t, h.by(k), im); !errors.Is(err, sign.ErrNoSignature) {
					t.Errorf("%s: got %v, want ErrNoSignature", f, err)
				}
			}
		})
	}
}

// TestKMSContext: who gives up ends the program.
func TestKMSContext(t *testing.T) {
	install(t, "hanging")
	path, _ := keyInStore(t, generate(t, "p256"))
	h := newHub(t, true)
	im := h.push(t, "a")
	s, err := cosign.NewSigner(cosign.SignOptions{Registry: h.registry(), Key: "hanging://" + path, NoTlog: true})
	must(t, err)
	must(t, s.Check(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // until the program is there
		for {
			raw, _ := os.ReadFile(path + ".args")
			if bytes.Contains(raw, []byte(common.SignMessageMethodName)) {
				cancel()
				return
			}
		}
	}()
	if _, err := s.Sign(ctx, im); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
}

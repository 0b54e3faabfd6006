// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms"
	sigoptions "github.com/sigstore/sigstore/pkg/signature/options"

	"github.com/cfs-label/cfs-label/sign"
)

const (
	// maxFile is the size of the largest key, token or configuration, in bytes.
	maxFile = 1 << 20
	// maxName is the length of the longest name of a key's file, in bytes. What is
	// longer may be a key, and is not shown.
	maxName = 255
	// passwordVariable is where cosign looks for the password.
	passwordVariable = "COSIGN_PASSWORD"
	// envScheme begins the name of a key in the environment.
	envScheme = "env://"
)

// key is a private key, wherever it is.
type key struct {
	signer   signature.Signer
	public   crypto.PublicKey
	verifier signature.Verifier // with the public key, here and not in a KMS
	pem      []byte             // the public key
}

// newKey completes a key. Its verifier takes the hash that the signer took.
func newKey(s signature.Signer, public crypto.PublicKey, h crypto.Hash) (*key, error) {
	k := &key{signer: s, public: public}
	var err error
	if k.pem, err = cryptoutils.MarshalPublicKeyToPEM(public); err != nil {
		return nil, err
	}
	if h == 0 {
		k.verifier, err = signature.LoadDefaultVerifier(public)
	} else {
		k.verifier, err = signature.LoadVerifier(public, h)
	}
	return k, err
}

// sign signs a message. What a program returns may be anything, and is checked.
func (k *key) sign(ctx context.Context, message []byte) (sig []byte, err error) {
	defer recovered(&err, sign.ErrKeyFile)
	sig, err = k.signer.SignMessage(bytes.NewReader(message), sigoptions.WithContext(ctx))
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, failed(sign.ErrKeyFile, fmt.Errorf("sign with the key: %w", err))
	}
	if err := k.verify(sig, message); err != nil {
		return nil, failed(sign.ErrKeyFile, fmt.Errorf("the signature that was made with the key does not hold: %w", err))
	}
	return sig, nil
}

// verify checks a signature of a message.
func (k *key) verify(sig, message []byte) error {
	return k.verifier.VerifySignature(bytes.NewReader(sig), bytes.NewReader(message))
}

// fingerprint is the SHA-256 of a public key (PKIX, DER), in hex.
func fingerprint(public crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// loadPrivate returns the key that the options name.
func loadPrivate(ctx context.Context, o SignOptions) (*key, error) {
	if isKMS(o.Key) {
		return loadKMS(ctx, o.Key)
	}
	raw, err := readKey(o.Key)
	if err != nil {
		return nil, err
	}
	defer clear(raw)
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, failed(sign.ErrKeyFile, fmt.Errorf("%s is not PEM", o.Key))
	}
	if block.Type != cosign.CosignPrivateKeyPemType && block.Type != cosign.SigstorePrivateKeyPemType {
		return nil, hinted(sign.ErrKeyFile, fmt.Errorf("%s is a %q", o.Key, block.Type),
			"a private key of cosign's is needed: cosign generate-key-pair makes one, cosign import-key-pair takes yours")
	}
	password, err := passwordOf(ctx, o)
	if err != nil {
		return nil, err
	}
	defer clear(password)
	// Without options a key of Ed25519 would sign as Ed25519ph, which cosign
	// verify does not take.
	sv, err := cosign.LoadPrivateKey(raw, password, &[]signature.LoadOption{})
	if err != nil {
		if strings.Contains(err.Error(), "decryption failed") {
			return nil, failed(sign.ErrSecret, fmt.Errorf("the password does not open the key %s", o.Key))
		}
		// The cause may quote what is in the key.
		return nil, failed(sign.ErrKeyFile, fmt.Errorf("%s is damaged, or of a kind that cannot sign", o.Key))
	}
	public, err := sv.PublicKey()
	if err != nil {
		return nil, failed(sign.ErrKeyFile, err)
	}
	k, err := newKey(sv, public, 0)
	if err != nil {
		return nil, failed(sign.ErrKeyFile, err)
	}
	return k, nil
}

// passwordOf returns the password of a key file.
func passwordOf(ctx context.Context, o SignOptions) ([]byte, error) {
	if o.Password != nil {
		password, err := o.Password(ctx)
		if err != nil {
			return nil, failed(sign.ErrSecret, fmt.Errorf("the password of the key: %w", err))
		}
		return password, nil
	}
	password, ok := os.LookupEnv(passwordVariable)
	if !ok {
		return nil, hinted(sign.ErrSecret, fmt.Errorf("there is no password for the key %s", o.Key), "set "+passwordVariable)
	}
	return []byte(password), nil
}

// isKMS reports whether a key is neither a file nor in the environment.
func isKMS(ref string) bool {
	return strings.Contains(ref, "://") && !strings.HasPrefix(ref, envScheme)
}

// readKey reads a key from a file or from the environment.
func readKey(ref string) ([]byte, error) {
	if len(ref) > maxName || strings.ContainsAny(ref, "\r\n") || strings.Contains(ref, "-----BEGIN") {
		return nil, failed(sign.ErrKeyFile, errors.New("a key is given as it is, where the name of its file or env://NAME belongs"))
	}
	if name, ok := strings.CutPrefix(ref, envScheme); ok {
		text, ok := os.LookupEnv(name)
		if !ok || name == "" {
			return nil, failed(sign.ErrKeyFile, fmt.Errorf("there is no variable %s in the environment", name))
		}
		return []byte(text), nil
	}
	raw, err := readFile(ref)
	if err != nil {
		return nil, failed(sign.ErrKeyFile, err)
	}
	return raw, nil
}

// readFile reads a file of at most maxFile bytes.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(raw) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return raw, err
}

// loadKMS returns a key that a program signs with: sigstore-kms-NAME, as
// Sigstore's plug-in protocol has it.
func loadKMS(ctx context.Context, ref string) (k *key, err error) {
	// The library reads fields of the program's answer that may not be there.
	defer recovered(&err, sign.ErrKeyFile)
	scheme, _, _ := strings.Cut(ref, "://")
	hash := crypto.SHA256
	sv, err := kms.Get(ctx, ref, hash)
	if err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return nil, hinted(sign.ErrKeyFile, fmt.Errorf("there is no program sigstore-kms-%s for the key %s", scheme, ref),
				"install it where PATH leads to, or name a file or env://NAME")
		}
		return nil, failed(sign.ErrKeyFile, fmt.Errorf("the key %s: %w", ref, err))
	}
	public, err := sv.PublicKey(sigoptions.WithContext(ctx))
	if err != nil {
		return nil, failed(sign.ErrKeyFile, fmt.Errorf("the key %s: %w", ref, err))
	}
	if d, derr := signature.GetDefaultAlgorithmDetails(public); derr == nil && d.GetHashType() > hash {
		// A larger curve takes a larger hash.
		hash = d.GetHashType()
		if sv, err = kms.Get(ctx, ref, hash); err != nil {
			return nil, failed(sign.ErrKeyFile, fmt.Errorf("the key %s: %w", ref, err))
		}
	}
	if k, err = newKey(sv, public, hash); err != nil {
		return nil, failed(sign.ErrKeyFile, fmt.Errorf("the key %s: %w", ref, err))
	}
	return k, nil
}

// loadPublic returns what verifies signatures by the key that is named.
func loadPublic(ctx context.Context, ref string) (*publicKey, error) {
	if isKMS(ref) {
		k, err := loadKMS(ctx, ref)
		if err != nil {
			return nil, err
		}
		return newPublic(k.public)
	}
	raw, err := readKey(ref)
	if err != nil {
		return nil, err
	}
	defer clear(raw)
	block, _ := pem.Decode(raw)
	switch {
	case block == nil:
		return nil, failed(sign.ErrKeyFile, fmt.Errorf("%s is not PEM", ref))
	case strings.Contains(block.Type, "PRIVATE"):
		return nil, hinted(sign.ErrKeyFile, fmt.Errorf("%s is a private key", ref), "the public one verifies: cosign public-key --key prints it")
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(raw)
	if err != nil {
		return nil, failed(sign.ErrKeyFile, fmt.Errorf("%s is no public key: %w", ref, err))
	}
	return newPublic(public)
}

// publicKey verifies with one key, and the hashes that cosign has signed with.
type publicKey struct {
	public    crypto.PublicKey
	verifiers []signature.Verifier
}

func newPublic(public crypto.PublicKey) (*publicKey, error) {
	k := &publicKey{public: public}
	// Large curves have hashes of their own now; cosign took SHA-256 for all
	// until 2.4.
	for _, load := range []func() (signature.Verifier, error){
		func() (signature.Verifier, error) { return signature.LoadDefaultVerifier(public) },
		func() (signature.Verifier, error) { return signature.LoadVerifier(public, crypto.SHA256) },
		func() (signature.Verifier, error) {
			return signature.LoadDefaultVerifier(public, sigoptions.WithED25519ph())
		},
	} {
		if v, err := load(); err == nil {
			k.verifiers = append(k.verifiers, v)
		}
	}
	if len(k.verifiers) == 0 {
		return nil, failed(sign.ErrKeyFile, fmt.Errorf("a public key of type %T cannot verify", public))
	}
	return k, nil
}

// PublicKey returns the key.
func (k *publicKey) PublicKey(...signature.PublicKeyOption) (crypto.PublicKey, error) {
	return k.public, nil
}

// VerifySignature fails unless the key made the signature.
func (k *publicKey) VerifySignature(sig, message io.Reader, opts ...signature.VerifyOption) error {
	s, err := io.ReadAll(sig)
	if err != nil {
		return err
	}
	m, err := io.ReadAll(message)
	if err != nil {
		return err
	}
	for _, v := range k.verifiers {
		if err = v.VerifySignature(bytes.NewReader(s), bytes.NewReader(m), opts...); err == nil {
			return nil
		}
	}
	return err
}

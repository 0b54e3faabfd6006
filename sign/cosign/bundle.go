// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	ggcrtypes "github.com/google/go-containerregistry/pkg/v1/types"
	ociremote "github.com/sigstore/cosign/v2/pkg/oci/remote"
	"github.com/sigstore/cosign/v2/pkg/types"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	sgbundle "github.com/sigstore/sigstore-go/pkg/bundle"
	sgsign "github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/cfs-label/cfs-label/sign"
)

// signBundle pushes a bundle that refers to the image.
func (s *signer) signBundle(ctx context.Context, im sign.Image, h v1.Hash, m material) (made sign.Made, err error) {
	made.Format, made.Place = sign.Bundle, im.Name.String()
	text, err := newStatement(h, s.o.Annotations)
	if err != nil {
		return made, err
	}
	if m.cert == nil {
		w, err := newWanted(m.key, m.to, sign.Bundle)
		if err != nil {
			return made, err
		}
		if made.Present, err = s.hasBundle(ctx, im.Name, w, text); made.Present || err != nil {
			return made, err
		}
	}
	b, err := s.makeBundle(ctx, m, text)
	if err != nil {
		return made, err
	}
	for _, e := range b.GetVerificationMaterial().GetTlogEntries() {
		made.LogIndexes = append(made.LogIndexes, e.GetLogIndex())
	}
	return made, s.publishBundle(ctx, im.Name, b)
}

// publishBundle pushes a bundle, and again until it is listed: where the
// registry has no referrers API, the list is a tag, which others may write at the
// same time, or which it may fail to write. The manifest is the same each time.
func (s *signer) publishBundle(ctx context.Context, d name.Digest, b *protobundle.Bundle) error {
	raw, err := protojson.Marshal(b)
	if err != nil {
		return err
	}
	if _, err := parseBundle("what the services made", raw); err != nil {
		return failed(sign.ErrService, err)
	}
	mediaType, err := sgbundle.MediaTypeString("0.3")
	if err != nil {
		return err
	}
	opts := []ociremote.Option{ociremote.WithRemoteOptions(s.o.at(ctx)...)}
	if d.Scheme() == "http" {
		opts = append(opts, ociremote.WithNameOptions(name.Insecure))
	}
	annotations := map[string]string{ // as WriteAttestationNewBundleFormat has them
		"org.opencontainers.image.created": time.Now().UTC().Format(time.RFC3339),
		"dev.sigstore.bundle.content":      "dsse-envelope",
		predicateAnnotation:                types.CosignSignPredicateType,
	}
	layers := []v1.Layer{static.NewLayer(raw, ggcrtypes.MediaType(mediaType))}
	return s.untilThere(ctx, func() (bool, func() error, error) {
		there, err := s.findBundle(ctx, d, func(have *sgbundle.Bundle) bool { return proto.Equal(have.Bundle, b) })
		return there, func() error { return ociremote.WriteReferrer(d, mediaType, layers, annotations, opts...) }, err
	})
}

// makeBundle signs a statement.
func (s *signer) makeBundle(ctx context.Context, m material, text []byte) (b *protobundle.Bundle, err error) {
	// The library reads fields of the services' answers that may not be there.
	defer recovered(&err, sign.ErrService)
	t := s.o.transport(ctx)
	o := sgsign.BundleOptions{Context: ctx, TimestampAuthorities: m.to.timestamps(t)}
	if m.cert != nil {
		o.CertificateProvider = m.cert
	}
	for _, service := range m.to.rekor {
		log := &sgsign.RekorOptions{BaseURL: service.URL, Timeout: serviceTimeout, Retries: serviceRetries, Version: service.MajorAPIVersion}
		if service.MajorAPIVersion == 1 {
			client, err := s.o.rekorV1(ctx, service.URL)
			if err != nil {
				return nil, err
			}
			log.Client = knownEntries{client}
		} else {
			log.ClientV2 = hashedEntries{services: s.o.Services, address: service.URL, key: m.keypair}
		}
		o.TransparencyLogs = append(o.TransparencyLogs, sgsign.NewRekor(log))
	}
	if b, err = sgsign.Bundle(&sgsign.DSSEData{Data: text, PayloadType: types.IntotoPayloadType}, m.keypair, o); err != nil {
		if _, ok := errors.AsType[*cause](err); ok {
			return nil, err // the key's
		}
		return nil, failed(sign.ErrService, fmt.Errorf("complete the bundle: %w", err))
	}
	return b, nil
}

// errStop ends a search.
var errStop = errors.New("found")

// findBundle reports whether one of an image's bundles is wanted.
func (s *signer) findBundle(ctx context.Context, d name.Digest, wanted func(*sgbundle.Bundle) bool) (bool, error) {
	err := s.o.readBundles(ctx, d, func(_ string, b *sgbundle.Bundle, err error) error {
		switch {
		case err != nil && unclear(err):
			return err // it may be ours: nobody has seen it
		case err == nil && wanted(b): // what is no bundle is not ours
			return errStop
		}
		return nil
	})
	if errors.Is(err, errStop) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for bundles: %w", err)
	}
	return false, nil
}

// hasBundle reports whether one of an image's bundles is what is wanted.
func (s *signer) hasBundle(ctx context.Context, d name.Digest, w wanted, text []byte) (bool, error) {
	return s.findBundle(ctx, d, func(b *sgbundle.Bundle) bool { return w.checkBundle(b, text) == nil })
}

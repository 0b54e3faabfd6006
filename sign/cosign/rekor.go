// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	tiles "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	rekor "github.com/sigstore/rekor/pkg/generated/client"
	"github.com/sigstore/rekor/pkg/generated/client/entries"
	"github.com/sigstore/rekor/pkg/generated/models"
	sgsign "github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"
)

// knownEntries takes an entry that is in the log for one that was made: some
// keys sign the same bytes the same way twice, and a run may have ended between
// the log and the registry.
type knownEntries struct{ *rekor.Rekor }

// CreateLogEntry makes an entry, or finds it.
func (k knownEntries) CreateLogEntry(p *entries.CreateLogEntryParams, opts ...entries.ClientOption) (*entries.CreateLogEntryCreated, error) {
	created, err := k.Entries.CreateLogEntry(p, opts...)
	known, ok := errors.AsType[*entries.CreateLogEntryConflict](err)
	if !ok {
		return created, err
	}
	id := path.Base(known.Location.String())
	entry, err := cosign.GetTlogEntry(p.Context, k.Rekor, id)
	if err != nil {
		return nil, err
	}
	return &entries.CreateLogEntryCreated{ETag: id, Payload: models.LogEntry{id: *entry}}, nil
}

// entriesV2 is where a log of version 2 takes entries (rekor-tiles,
// api/proto/rekor/v2/rekor_service.proto).
const entriesV2 = "api/v2/log/entries"

// hashedEntries enters envelopes in a log of version 2, which takes nothing but
// digests and their signatures (rekor-tiles 2.3). The library would send the
// envelope, and its client takes no transport.
type hashedEntries struct {
	services Services
	address  string
	key      *keypair
}

// Add makes an entry.
func (h hashedEntries) Add(ctx context.Context, entry any) (*protorekor.TransparencyLogEntry, error) {
	envelope, ok := entry.(*tiles.DSSERequestV002)
	if !ok {
		return nil, fmt.Errorf("an entry of type %T is not made", entry)
	}
	e, hash := envelope.GetEnvelope(), h.key.kind.GetHashType()
	if hash == 0 || len(e.GetSignatures()) != 1 || len(envelope.GetVerifiers()) != 1 {
		return nil, errNoDigest
	}
	w := hash.New()
	w.Write((&sgsign.DSSEData{Data: e.GetPayload(), PayloadType: e.GetPayloadType()}).PreAuthEncoding())
	return h.send(ctx, &tiles.CreateEntryRequest{Spec: &tiles.CreateEntryRequest_HashedRekordRequestV002{
		HashedRekordRequestV002: &tiles.HashedRekordRequestV002{
			Signature: &tiles.Signature{Content: e.GetSignatures()[0].GetSig(), Verifier: envelope.GetVerifiers()[0]},
			Digest:    w.Sum(nil),
		},
	}})
}

// errNoDigest is a key that signs no digest.
var errNoDigest = errors.New("a key that signs no digest, as Ed25519 does, cannot be in a log of version 2")

// send sends an entry.
func (h hashedEntries) send(ctx context.Context, entry *tiles.CreateEntryRequest) (*protorekor.TransparencyLogEntry, error) {
	u, err := serviceURL(h.address)
	if err != nil {
		return nil, err
	}
	raw, err := protojson.Marshal(entry)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.JoinPath(entriesV2).String(), bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.services.logClient(ctx).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if raw, err = io.ReadAll(resp.Body); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("it answers %s: %s", resp.Status, raw)
	}
	made := &protorekor.TransparencyLogEntry{}
	return made, protojson.Unmarshal(raw, made)
}

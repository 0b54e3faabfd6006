// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/sigstore/cosign/v2/pkg/types"

	"github.com/cfs-label/cfs-label/sign"
)

// statementType is that of in-toto statements (in-toto attestation framework
// 1.0, spec/v1/statement.md).
const statementType = "https://in-toto.io/Statement/v1"

// statement is what a bundle signs.
type statement struct {
	Type          string         `json:"_type"`
	Subject       []subject      `json:"subject"`
	PredicateType string         `json:"predicateType"`
	Predicate     map[string]any `json:"predicate"`
}

type subject struct {
	Digest map[string]string `json:"digest"`
	// Annotations are where cosign 3 has them.
	Annotations map[string]any `json:"annotations,omitempty"`
}

// newStatement returns what is signed of an image: always the same bytes.
func newStatement(h v1.Hash, annotations map[string]string) ([]byte, error) {
	return json.Marshal(statement{
		Type:          statementType,
		Subject:       []subject{{Digest: map[string]string{h.Algorithm: h.Hex}, Annotations: anyValues(annotations)}},
		PredicateType: types.CosignSignPredicateType,
		Predicate:     map[string]any{},
	})
}

// parseStatement returns the statement of an envelope. Statements that are not
// signatures are nil.
func parseStatement(payloadType string, payload []byte) (*statement, error) {
	if payloadType != types.IntotoPayloadType {
		return nil, nil //nolint:nilnil // bundles hold other things too
	}
	var s statement
	if err := json.Unmarshal(payload, &s); err != nil {
		return nil, failed(sign.ErrContent, fmt.Errorf("what is signed is no statement: %w", err))
	}
	if s.PredicateType != types.CosignSignPredicateType {
		return nil, nil //nolint:nilnil // an attestation
	}
	return &s, nil
}

// about returns the subject that has a digest.
func (s *statement) about(h v1.Hash) (subject, bool) {
	for _, sub := range s.Subject {
		if sub.Digest[h.Algorithm] == h.Hex {
			return sub, true
		}
	}
	return subject{}, false
}

// texts returns annotations as text; those that are not are as JSON.
func texts(m map[string]any) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		if s, ok := v.(string); ok {
			out[k] = s
			continue
		}
		raw, err := json.Marshal(v)
		if err == nil {
			out[k] = string(raw)
		}
	}
	return out
}

// checkAnnotations fails unless all that are wanted are there.
func checkAnnotations(want, have map[string]string) error {
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			return failed(sign.ErrAnnotation, fmt.Errorf("the annotation %q is %q, want %q", k, got, v))
		}
	}
	return nil
}

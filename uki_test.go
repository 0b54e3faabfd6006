// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/internal/ukitest"
	"github.com/cfs-label/cfs-label/layers"
)

// ukiPath is where the tests' UKI is, unless they say otherwise.
const ukiPath = "boot/EFI/Linux/a.efi"

// ukiRules have each thing that a UKI's command line can say. In it, {v1 sha512}
// and the like stand for the bootable digest in that format and algorithm, with
// " user" behind them for the one with user attributes.
var ukiRules = []struct {
	rule    string
	path    string
	cmdline string
	// What becomes of the first argument, and what is in its reason.
	state  cfslabel.State
	reason string
}{
	{"V1", "", "composefs.digest=v1-sha512-12:{v1 sha512}", cfslabel.Holds, ""},
	{"V2", "", "root=x composefs={v2 sha512} rw", cfslabel.Holds, ""},
	{"V2, explicit", "", "composefs.digest=v2-sha512-12:{v2 sha512}", cfslabel.Holds, ""},
	{"upper case", "", "composefs.digest=v1-sha512-12:{V1 SHA512}", cfslabel.Holds, ""},
	{"quoted", "", `"composefs.digest=v1-sha512-12:{v1 sha512}"`, cfslabel.Holds, "has quotes"},
	{"insecure", "", "composefs.digest=?v1-sha512-12:{v1 sha512}", cfslabel.Holds, "is insecure"},
	{"V0 is written as V1", "", "composefs.digest=v1-sha512-12:{v0 sha512}", cfslabel.Holds, "is the digest in format v0"},
	{"all doubts are told", "", `"composefs.digest=?v1-sha512-12:{v0 sha512 user}"`, cfslabel.Holds, "; and it is insecure: with the ? in front, hosts boot the image though nothing enforces the digest; leave the ? out; and it has quotes"},
	{"another xattr mode", "", "composefs={v2 sha512 user}", cfslabel.Holds, "is the digest with xattrs keep-user-xattrs"},
	{"an addon", "boot/loader/addons/a.addon.efi", "composefs={v2 sha512}", cfslabel.Holds, ""},
	{"an algorithm that is not hashed", "", "composefs.digest=v1-sha256-12:{v1 sha256}", cfslabel.Unchecked, "add --algorithm sha256"},

	{"V1 where V2 is meant", "", "composefs={v1 sha512}", cfslabel.Wrong, "is that of format v1, and it means v2"},
	{"V2 where V1 is meant", "", "composefs.digest=v1-sha512-12:{v2 sha512 user}", cfslabel.Wrong, "is that of format v2, and it means v1"},
	{"another tree", "", "composefs=" + minimal, cfslabel.Wrong, "the tree is not what it was"},
	{"an addon that is wrong", "boot/EFI/Linux/a.efi.extra.d/a.addon.efi", "composefs=" + minimal, cfslabel.Wrong, "the tree is not what it was"},
	{"circular", "usr/lib/modules/6.1/a.efi", "composefs=" + minimal, cfslabel.Wrong, "is circular"},
	{"a mark behind", "", "composefs={v2 sha512}?", cfslabel.Wrong, "cannot be understood"},
	{"no digest", "", "composefs=abc", cfslabel.Wrong, "cannot be understood"},
}

// fillDigests puts digests in for what stands for them.
func fillDigests(cmdline string, digests map[string]string) string {
	for key, digest := range digests {
		role, rest, _ := strings.Cut(key, " ")
		format, mode := rest[:len("v1 sha512")], rest[len("v1 sha512 "):]
		if role == "merged" {
			continue
		}
		if mode != "allowlist-only" {
			format += " user"
		}
		cmdline = strings.ReplaceAll(cmdline, "{"+format+"}", digest)
		cmdline = strings.ReplaceAll(cmdline, "{"+strings.ToUpper(format)+"}", strings.ToUpper(digest))
	}
	return cmdline
}

// withUKI pushes an image that has a UKI in a layer of its own.
func (s *store) withUKI(t *testing.T, name, path string, uki []byte) v1.Descriptor {
	t.Helper()
	files := []tarFile{{name: "boot/EFI/Linux/a.efi.extra.d/"}, {name: path, content: string(uki)}}
	return s.pushLayers(t, name, tarOf(t, bootBase()...), tarOf(t, files...))
}

// TestUKIs: what is found of each command line, by sealing and by verifying. One
// that is wrong stops the sealing, and moves no tag; with NoUKICheck it does not.
func TestUKIs(t *testing.T) {
	s := newStore(t)
	s.pushLayers(t, "base:1", tarOf(t, bootBase()...))
	digests := s.compute(t, "base:1", bootOptions(allOfThem))
	for i, c := range ukiRules {
		t.Run(c.rule, func(t *testing.T) {
			path := c.path
			if path == "" {
				path = ukiPath
			}
			// What is below /usr is a part of the tree, what is in /boot not.
			name := fmt.Sprintf("img:%d", i)
			d := s.withUKI(t, name, path, ukitest.CommandLine(fillDigests(c.cmdline, digests)))
			var warnings []string
			o := cfslabel.LabelOptions{Options: cfslabel.Options{Warn: func(w string) { warnings = append(warnings, w) }}}
			sealed, err := cfslabel.Label(t.Context(), s.open(t, name), o)
			if isWrong := c.state == cfslabel.Wrong; isWrong != errors.Is(err, cfslabel.ErrMismatch) || !isWrong && err != nil {
				t.Fatalf("error %v, want one: %v", err, isWrong)
			}
			wantUKI(t, sealed.Images[0].UKIs, path, c.state, c.reason)
			if mismatch, ok := errors.AsType[*cfslabel.MismatchError](err); ok {
				s.wantTag(t, name, d.Digest)
				if sealed.Changed || sealed.Digest != d.Digest || !strings.Contains(strings.Join(mismatch.Findings, ""), "/"+path+": ") {
					t.Errorf("sealed %+v, findings %q", sealed, mismatch.Findings)
				}
				o.NoUKICheck = true
				label(t, s.open(t, name), o)
			} else if c.reason != "" && !slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, c.reason) }) {
				t.Errorf("warnings %q", warnings)
			}
			verified, err := cfslabel.Verify(t.Context(), s.open(t, name), cfslabel.VerifyOptions{})
			if (c.state == cfslabel.Wrong) != errors.Is(err, cfslabel.ErrMismatch) {
				t.Errorf("verify: %v", err)
			}
			wantUKI(t, verified.Images[0].UKIs, path, c.state, c.reason)
			if _, err := cfslabel.Verify(t.Context(), s.open(t, name), cfslabel.VerifyOptions{NoUKICheck: true}); err != nil {
				t.Errorf("verify without UKIs: %v", err)
			}
		})
	}
}

func wantUKI(t *testing.T, got []cfslabel.UKI, path string, state cfslabel.State, reason string) {
	t.Helper()
	if len(got) != 1 || got[0].Path != "/"+path || len(got[0].Arguments) != 1 {
		t.Fatalf("UKIs %+v, want %s with one argument", got, path)
	}
	a := got[0].Arguments[0]
	if a.State != state || !strings.Contains(a.Reason, reason) || reason == "" && a.Reason != "" {
		t.Errorf("%s: %q, want %s: %q", a.State, a.Reason, state, reason)
	}
}

// TestUKINamesBoth: a mismatch names the digest that the UKI has, whole, and the
// right one.
func TestUKINamesBoth(t *testing.T) {
	s := newStore(t)
	s.withUKI(t, "img:1", ukiPath, ukitest.CommandLine("composefs.digest=v1-sha512-12:"+minimal))
	right := s.compute(t, "img:1", bootOptions())["merged.bootable v1 sha512 allowlist-only"]
	_, err := cfslabel.Label(t.Context(), s.open(t, "img:1"), cfslabel.LabelOptions{})
	if text := fmt.Sprint(err); !strings.Contains(text, minimal) || !strings.Contains(text, right) {
		t.Errorf("%v: want both %s and %s", err, minimal, right)
	}
}

// TestUKIOfSeal: a UKI that names what an earlier seal says is told to be made for
// another content.
func TestUKIOfSeal(t *testing.T) {
	s := newStore(t)
	uki := ukitest.CommandLine("composefs=" + minimal)
	s.withUKI(t, "img:1", ukiPath, uki)
	label(t, s.open(t, "img:1"), cfslabel.LabelOptions{NoUKICheck: true})
	d, _, raw := s.pull(t, "img:1")
	raw = []byte(strings.Replace(string(raw), `"annotations":{`, `"annotations":{"`+bootableKey+`":"`+minimal+`",`, 1))
	d.Digest, d.Size = digestOf(raw), int64(len(raw))
	ref := s.openBy(t, "img:1", s.inside())
	if err := ref.Repo.Tag(t.Context(), ref.Tag, d, raw, ""); err != nil {
		t.Fatal(err)
	}
	_, err := cfslabel.Label(t.Context(), s.open(t, "img:1"), cfslabel.LabelOptions{})
	if !strings.Contains(fmt.Sprint(err), "what an earlier seal of this image") {
		t.Error(err)
	}
}

// TestUKIUnbootable: a UKI names a digest, and hosts do not boot the image.
func TestUKIUnbootable(t *testing.T) {
	s := newStore(t)
	files := slices.DeleteFunc(bootBase(), func(f tarFile) bool { return strings.HasPrefix(f.name, "sysroot") })
	s.pushLayers(t, "img:1", tarOf(t, files...), tarOf(t, tarFile{name: ukiPath, content: string(ukitest.CommandLine("composefs=" + minimal))}))
	_, err := cfslabel.Label(t.Context(), s.open(t, "img:1"), cfslabel.LabelOptions{})
	if !errors.Is(err, cfslabel.ErrMismatch) || !strings.Contains(fmt.Sprint(err), "/sysroot") {
		t.Error(err)
	}
}

// TestUKIWithout: UKIs that name no digest, or that cannot be read, stop nothing;
// the latter are told.
func TestUKIWithout(t *testing.T) {
	for name, c := range map[string]struct {
		uki      string
		warnings int
	}{
		"no digest": {string(ukitest.CommandLine("root=x composefs composefs.other=x")), 0},
		"no PE":     {strings.Repeat("x", 100), 1},
	} {
		s := newStore(t)
		s.withUKI(t, "img:1", ukiPath, []byte(c.uki))
		var warnings []string
		label(t, s.open(t, "img:1"), cfslabel.LabelOptions{Options: cfslabel.Options{Warn: func(w string) { warnings = append(warnings, w) }}})
		if len(warnings) != c.warnings || c.warnings > 0 && !strings.Contains(warnings[0], "/"+ukiPath) {
			t.Errorf("%s: warnings %q", name, warnings)
		}
	}
}

// TestUKIHardLink: a UKI that is a hard link to what nothing told to be one is
// looked at.
func TestUKIHardLink(t *testing.T) {
	s := newStore(t)
	object := tarFile{name: "sysroot/object", content: string(ukitest.CommandLine("composefs=" + minimal))}
	s.pushLayers(t, "img:1", tarOf(t, append(bootBase(), object)...), tarOf(t, tarFile{name: ukiPath, link: object.name}))
	if _, err := cfslabel.Label(t.Context(), s.open(t, "img:1"), cfslabel.LabelOptions{}); !errors.Is(err, cfslabel.ErrMismatch) {
		t.Error(err)
	}
}

// TestUKIChecked: --check finds it beside what else is wrong.
func TestUKIChecked(t *testing.T) {
	s := newStore(t)
	s.withUKI(t, "img:1", ukiPath, ukitest.CommandLine("composefs="+minimal))
	_, err := cfslabel.Label(t.Context(), s.open(t, "img:1"), cfslabel.LabelOptions{Check: true})
	wantFindings(t, err, image.LabelKey, mergedKey, configKey, ukiPath)
}

// TestInspectUKIs: Inspect reads layers if it is asked to, and has UKIs with what
// became of their arguments, in both algorithms.
func TestInspectUKIs(t *testing.T) {
	s := newStore(t)
	s.pushLayers(t, "base:1", tarOf(t, bootBase()...))
	digests := s.compute(t, "base:1", bootOptions(allOfThem))
	s.withUKI(t, "img:1", ukiPath, ukitest.CommandLine(fillDigests("composefs.digest=v1-sha256-12:{v1 sha256}", digests)))
	for _, o := range []cfslabel.InspectOptions{{}, {Layers: &cfslabel.Options{}}} {
		got, err := cfslabel.Inspect(t.Context(), s.open(t, "img:1"), o)
		if err != nil {
			t.Fatal(err)
		}
		if o.Layers == nil {
			if len(got.Objects[0].UKIs) > 0 {
				t.Error("layers were read")
			}
			continue
		}
		wantUKI(t, got.Objects[0].UKIs, ukiPath, cfslabel.Holds, "")
	}
}

// TestUKIBesideRefused: a UKI is looked at though there be in /run what no tree may
// have: hosts empty it before they look.
func TestUKIBesideRefused(t *testing.T) {
	s := newStore(t)
	s.pushLayers(t, "img:1", tarOf(t, append(bootBase(),
		tarFile{name: "run/"}, tarFile{name: "run/" + strings.Repeat("x", 256)},
		tarFile{name: ukiPath, content: string(ukitest.CommandLine("composefs=" + minimal))})...))
	_, err := cfslabel.Label(t.Context(), s.open(t, "img:1"), cfslabel.LabelOptions{})
	wantFindings(t, err, ukiPath)
}

// TestUKIsTooMany: more UKIs than any image has, or more arguments, end it.
func TestUKIsTooMany(t *testing.T) {
	for name, c := range map[string]struct {
		links     int
		arguments int // of each
		tooMany   bool
	}{
		"UKIs":           {4096, 0, true},
		"fewer UKIs":     {4095, 0, false},
		"arguments":      {2, 3334, true},
		"less arguments": {1, 5000, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			uki := ukitest.CommandLine(strings.Repeat("composefs=x ", c.arguments))
			files := append(bootBase(), tarFile{name: ukiPath, content: string(uki)})
			for i := range c.links {
				files = append(files, tarFile{name: fmt.Sprintf("boot/EFI/Linux/%d.efi", i), link: ukiPath})
			}
			s.pushLayers(t, "img:1", tarOf(t, files...))
			_, err := cfslabel.Label(t.Context(), s.open(t, "img:1"), cfslabel.LabelOptions{})
			isMismatch := c.arguments > 0 && !c.tooMany
			if errors.Is(err, layers.ErrTooMany) != c.tooMany || errors.Is(err, cfslabel.ErrMismatch) != isMismatch || err != nil && !c.tooMany && !isMismatch {
				t.Errorf("%.300v", err)
			}
		})
	}
}

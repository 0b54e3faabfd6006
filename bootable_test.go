// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/selinux"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/internal/ukitest"
)

// bootableKey is the annotation of a bootable digest in SHA-512.
var bootableKey = image.AnnotationKey(image.RoleMergedBootable, fsverity.SHA512)

// tarFile is an entry of a layer: a directory if the name ends with a slash, a
// hard link if there is a link.
type tarFile struct {
	name, content, link string
	xattrs              map[string]string
}

// tarOf makes a layer.
func tarOf(t *testing.T, files ...tarFile) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: 0o644, ModTime: time.Unix(1_700_000_000, 0), Typeflag: tar.TypeReg, Size: int64(len(f.content)), PAXRecords: map[string]string{}}
		switch {
		case f.link != "":
			h.Typeflag, h.Linkname = tar.TypeLink, f.link
		case strings.HasSuffix(f.name, "/"):
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		for name, value := range f.xattrs {
			h.PAXRecords["SCHILY.xattr."+name] = value
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pushLayers pushes an image of these layers, unseen.
func (s *store) pushLayers(t *testing.T, name string, archives ...[]byte) v1.Descriptor {
	t.Helper()
	ref := s.openBy(t, name, s.inside())
	var layers, diffIDs []string
	for _, b := range archives {
		d := v1.Descriptor{Digest: digestOf(b), Size: int64(len(b))}
		if err := ref.Repo.PushBlob(t.Context(), d, b); err != nil {
			t.Fatal(err)
		}
		layers = append(layers, fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}`, d.Digest.String(), d.Size))
		diffIDs = append(diffIDs, `"`+d.Digest.String()+`"`)
	}
	config := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[%s]}}`, strings.Join(diffIDs, ","))
	d := v1.Descriptor{Digest: digestOf(config), Size: int64(len(config))}
	if err := ref.Repo.PushBlob(t.Context(), d, config); err != nil {
		t.Fatal(err)
	}
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%d},"layers":[%s]}`,
		d.Digest, d.Size, strings.Join(layers, ","))
	m := v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digestOf(manifest), Size: int64(len(manifest))}
	if err := ref.Repo.Tag(t.Context(), ref.Tag, m, manifest, ""); err != nil {
		t.Fatal(err)
	}
	return m
}

// policy is an SELinux policy that is too large to be inline.
var policy = strings.Repeat("# a comment\n", 10) + "/.* system_u:object_r:all:s0\n/usr/.* system_u:object_r:usr_t:s0\n"

// bootBase is what a bootable image has, with a policy; a file has a user
// attribute, so that the xattr modes differ.
func bootBase() []tarFile {
	return []tarFile{
		{name: "usr/"},
		{name: "usr/lib/"},
		{name: "usr/lib/modules/"},
		{name: "usr/lib/modules/6.1/"},
		{name: "boot/"},
		{name: "boot/EFI/"},
		{name: "boot/EFI/Linux/"},
		{name: "boot/loader/"},
		{name: "boot/loader/addons/"},
		{name: "sysroot/"},
		{name: "usr/a", content: "x", xattrs: map[string]string{"user.a": "b"}},
		{name: "etc/"},
		{name: "etc/selinux/"},
		{name: "etc/selinux/t/"},
		{name: "etc/selinux/t/contexts/"},
		{name: "etc/selinux/t/contexts/files/"},
		{name: "etc/selinux/config", content: "SELINUXTYPE=t\n"},
		{name: "etc/selinux/t/contexts/files/file_contexts", content: policy},
	}
}

// bootOptions ask for bootable digests.
func bootOptions(more ...func(*cfslabel.Options)) cfslabel.Options {
	o := cfslabel.Options{Bootable: true}
	for _, f := range more {
		f(&o)
	}
	return o
}

func allOfThem(o *cfslabel.Options) {
	o.Formats = []erofs.Format{erofs.V1, erofs.V2, erofs.V0}
	o.Algorithms = []fsverity.Algorithm{fsverity.SHA512, fsverity.SHA256}
	o.Xattrs = []transform.Xattrs{transform.AllowlistOnly, transform.KeepUserXattrs}
}

// compute returns the digests of an image by "role format algorithm xattrs".
func (s *store) compute(t *testing.T, name string, o cfslabel.Options) map[string]string {
	t.Helper()
	images, err := cfslabel.Compute(t.Context(), s.open(t, name), o)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, d := range images[0].Digests {
		got[fmt.Sprintf("%s %s %s %s", d.Role, d.Format, d.Digest.Algorithm(), d.Xattrs)] = d.Digest.String()
	}
	return got
}

// TestComputeTogether: digests that are computed in one run are those that each
// combination gives alone, plain and bootable, and no two are equal.
func TestComputeTogether(t *testing.T) {
	s := newStore(t)
	s.pushLayers(t, "img:1", tarOf(t, bootBase()...))
	together := s.compute(t, "img:1", bootOptions(allOfThem))
	if len(together) != 2*3*2*2 {
		t.Fatalf("%d digests", len(together))
	}
	seen := map[string]string{}
	for _, mode := range []transform.Xattrs{transform.AllowlistOnly, transform.KeepUserXattrs} {
		for _, bootable := range []bool{false, true} {
			for name, digest := range s.compute(t, "img:1", cfslabel.Options{Bootable: bootable, Xattrs: []transform.Xattrs{mode}}) {
				if together[name] != digest {
					t.Errorf("%s: %s alone, %s together", name, digest, together[name])
				}
			}
		}
	}
	for name, digest := range together {
		if other, ok := seen[digest]; ok {
			t.Errorf("%s and %s have the same digest", name, other)
		}
		seen[digest] = name
	}
}

// TestPolicyThroughLink: a policy file that is a hard link to what nothing told to
// be one gives the digest that it gives as a file, at the price of reading that
// layer again, which Stats counts.
func TestPolicyThroughLink(t *testing.T) {
	s := newStore(t)
	const at = "etc/selinux/t/contexts/files/file_contexts"
	dirs := slices.DeleteFunc(bootBase(), func(f tarFile) bool { return f.name == at })
	object := tarFile{name: "sysroot/object", content: policy}
	s.pushLayers(t, "img:file", tarOf(t, append(dirs, tarFile{name: at, content: policy})...))
	s.pushLayers(t, "img:link", tarOf(t, append(dirs, object)...), tarOf(t, tarFile{name: at, link: object.name}))
	var stats cfslabel.Stats
	want := s.compute(t, "img:file", bootOptions())
	got := s.compute(t, "img:link", bootOptions(func(o *cfslabel.Options) { o.Stats = &stats }))
	const key = "merged.bootable v1 sha512 allowlist-only"
	if got[key] == "" || got[key] != want[key] {
		t.Errorf("by the link %s, as a file %s", got[key], want[key])
	}
	if stats.LayersAgain != 1 || stats.Layers != 2 {
		t.Errorf("%d layers were read and %d again, want 2 and 1", stats.Layers, stats.LayersAgain)
	}
	stats = cfslabel.Stats{}
	s.compute(t, "img:link", cfslabel.Options{Stats: &stats})
	if stats.LayersAgain != 0 {
		t.Error("a layer was read again for a policy that nobody needs")
	}
}

// TestNamesOfTwoUses: a file that is a policy by one of its names and a UKI by
// another is both, whichever name it had first.
func TestNamesOfTwoUses(t *testing.T) {
	const contexts, modulesUKI = "etc/selinux/t/contexts/files/file_contexts", "usr/lib/modules/6.1/x.efi"
	s := newStore(t)
	dirs := slices.DeleteFunc(bootBase(), func(f tarFile) bool { return f.name == contexts })
	s.pushLayers(t, "img:1", tarOf(t, append(dirs, tarFile{name: modulesUKI, content: policy})...), tarOf(t, tarFile{name: contexts, link: modulesUKI}))
	s.pushLayers(t, "img:2", tarOf(t, append(dirs, tarFile{name: contexts, content: policy})...), tarOf(t, tarFile{name: modulesUKI, link: contexts}))
	if first, second := s.compute(t, "img:1", bootOptions()), s.compute(t, "img:2", bootOptions()); !maps.Equal(first, second) {
		t.Errorf("%v as a UKI first, %v as a policy", first, second)
	}
	other := tarFile{name: "etc/selinux/t/contexts/files/file_contexts.local", content: string(ukitest.CommandLine("composefs=" + minimal))}
	s.pushLayers(t, "img:3", tarOf(t, bootBase()...), tarOf(t, other, tarFile{name: ukiPath, link: other.name}, tarFile{name: "etc/selinux/t/contexts/files/.wh." + path.Base(other.name)}))
	if _, err := cfslabel.Label(t.Context(), s.open(t, "img:3"), cfslabel.LabelOptions{}); !errors.Is(err, cfslabel.ErrMismatch) {
		t.Errorf("with a UKI that had another name: %v, want a mismatch", err)
	}
}

// TestUnbootable: what hosts refuse to boot has no bootable digest, but a plain
// one.
func TestUnbootable(t *testing.T) {
	without := func(names ...string) []tarFile {
		return slices.DeleteFunc(bootBase(), func(f tarFile) bool {
			return slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(f.name, n) })
		})
	}
	for why, files := range map[string][]tarFile{
		"/boot":                  without("boot"),
		"/sysroot":               without("sysroot"),
		"contexts/files":         without("etc/selinux/t"),
		"file_contexts":          without("etc/selinux/t/contexts/files/file_contexts"),
		"no regular file":        append(bootBase(), tarFile{name: "boot/loader/entries/"}, tarFile{name: "boot/loader/entries/a.conf", content: strings.Repeat("#", 100) + "\nlinux /vmlinuz\n"}),
		"is a directory":         append(bootBase(), tarFile{name: "boot/EFI/Linux/a.efi"}, tarFile{name: "boot/EFI/Linux/b.efi/"}, tarFile{name: "boot/loader/entries/"}, tarFile{name: "boot/loader/entries/a.conf/"}),
		"file_contexts: line 11": append(without("etc/selinux/t/contexts/files/file_contexts"), tarFile{name: "etc/selinux/t/contexts/files/file_contexts", content: strings.Repeat("# a comment\n", 10) + "x\n"}),
	} {
		s := newStore(t)
		s.pushLayers(t, "img:1", tarOf(t, files...))
		_, err := cfslabel.Compute(t.Context(), s.open(t, "img:1"), bootOptions())
		if !errors.Is(err, cfslabel.ErrUnbootable) || !strings.Contains(fmt.Sprint(err), why) {
			t.Errorf("%s: error %v", why, err)
		}
		if got := s.compute(t, "img:1", cfslabel.Options{}); len(got) != 1 {
			t.Errorf("%s: plain digests %v", why, got)
		}
	}
}

// TestOwnLimits: what only this program cannot do says nothing of hosts: the image
// is not skipped for it, and UKIs that name digests are not checked.
func TestOwnLimits(t *testing.T) {
	const contexts = "etc/selinux/t/contexts/files/file_contexts.local"
	for why, content := range map[string]string{
		"too large":  strings.Repeat("#", 17<<20),
		"the flag x": strings.Repeat("# a comment\n", 10) + "(?x)/usr/b u:r:x:s0\n",
	} {
		s := newStore(t)
		uki := tarFile{name: ukiPath, content: string(ukitest.CommandLine("composefs=" + minimal))}
		s.pushLayers(t, "img:1", tarOf(t, append(bootBase(), tarFile{name: contexts, content: content}, uki)...))
		_, err := cfslabel.Label(t.Context(), s.open(t, "img:1"), cfslabel.LabelOptions{Options: bootOptions(), SkipUnsealable: true})
		if err == nil || errors.Is(err, cfslabel.ErrUnbootable) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: error %v", why, err)
		}
		sealed := label(t, s.open(t, "img:1"), cfslabel.LabelOptions{})
		wantUKI(t, sealed.Images[0].UKIs, ukiPath, cfslabel.Unchecked, why)
	}
}

// TestLabelBootable: sealing bootable writes the bootable digest into the
// annotations beside the plain one, which the label has; a second run changes
// nothing, --if-needed believes it, --check and Verify find it right, and a seal
// that does not compute it removes it.
func TestLabelBootable(t *testing.T) {
	s := newStore(t)
	s.pushLayers(t, "img:1", tarOf(t, bootBase()...))
	want := s.compute(t, "img:1", bootOptions())
	plain, bootable := want["merged v1 sha512 allowlist-only"], want["merged.bootable v1 sha512 allowlist-only"]
	o := cfslabel.LabelOptions{Options: bootOptions()}
	sealed := label(t, s.open(t, "img:1"), o)
	_, config, raw := s.pull(t, "img:1")
	m, err := image.ParseManifest(raw, "")
	if err != nil {
		t.Fatal(err)
	}
	if m.Annotations[mergedKey] != plain || m.Annotations[bootableKey] != bootable || !strings.Contains(string(config), `"`+image.LabelKey+`":"`+plain+`"`) {
		t.Errorf("annotations %v, config %s; want plain %s, bootable %s", m.Annotations, config, plain, bootable)
	}
	if again := label(t, s.open(t, "img:1"), o); again.Changed || again.Digest != sealed.Digest {
		t.Error("the second run changed it")
	}
	o.IfNeeded = true
	if again := label(t, s.open(t, "img:1"), o); !again.Images[0].Believed || len(again.Images[0].Digests) != 2 {
		t.Errorf("if needed: %+v", again.Images[0])
	}
	verified, err := cfslabel.Verify(t.Context(), s.open(t, "img:1"), cfslabel.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	isIt := func(o cfslabel.Object) bool {
		return o.Role == image.RoleMergedBootable && o.State == cfslabel.Holds && o.Computed == bootable
	}
	if !slices.ContainsFunc(verified.Images[0].Objects, isIt) {
		t.Errorf("verified %+v", verified.Images[0].Objects)
	}
	_, err = cfslabel.Label(t.Context(), s.open(t, "img:1"), cfslabel.LabelOptions{Check: true})
	wantFindings(t, err, bootableKey+`"] was not computed by this run, and may be of another image: `+bootable+" (to have it computed, add --bootable)")
	if _, err := cfslabel.Label(t.Context(), s.open(t, "img:1"), cfslabel.LabelOptions{Options: bootOptions(), Check: true}); err != nil {
		t.Errorf("checked with bootable: %v", err)
	}
	told := false
	o = cfslabel.LabelOptions{Options: cfslabel.Options{Warn: func(w string) { told = told || strings.Contains(w, "need --bootable") }}}
	label(t, s.open(t, "img:1"), o)
	if _, _, raw = s.pull(t, "img:1"); strings.Contains(string(raw), bootableKey) || !told {
		t.Errorf("a seal that did not compute the bootable digest left it, or did not tell (%v)", told)
	}
}

// TestBootableKernelSignature: --fsverity-key signs the bootable digest as well, in
// the annotation and in the artifact; one that is spoiled is a finding.
func TestBootableKernelSignature(t *testing.T) {
	s := newStore(t)
	key := newKernelKey(t, "key", farAway)
	s.pushLayers(t, "img:1", tarOf(t, bootBase()...))
	label(t, s.open(t, "img:1"), cfslabel.LabelOptions{Options: bootOptions(), Kernel: key})
	o := cfslabel.VerifyOptions{Certificate: key.Certificate()}
	verified, err := cfslabel.Verify(t.Context(), s.open(t, "img:1"), o)
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]bool{}
	for _, c := range verified.Images[0].Objects {
		if c.Role == image.RoleMergedBootable && c.Signature == cfslabel.Holds {
			places[c.Where] = true
		}
	}
	if !places["annotation"] || !places["artifact"] {
		t.Errorf("signatures of the bootable digest hold in %v", places)
	}
	d, _, raw := s.pull(t, "img:1")
	at := bytes.Index(raw, []byte(bootableKey+`.sig":"`)) + len(bootableKey+`.sig":"`)
	other := kernelSignature(t, key, fsverity.Sum(fsverity.SHA512, nil))
	end := at + strings.IndexByte(string(raw[at:]), '"')
	raw = []byte(string(raw[:at]) + base64.StdEncoding.EncodeToString(other) + string(raw[end:]))
	d.Digest, d.Size = digestOf(raw), int64(len(raw))
	ref := s.openBy(t, "img:1", s.inside())
	if err := ref.Repo.Tag(t.Context(), ref.Tag, d, raw, ""); err != nil {
		t.Fatal(err)
	}
	_, err = cfslabel.Verify(t.Context(), s.open(t, "img:1"), o)
	wantFindings(t, err, "the signature of the annotation "+bootableKey+" does not hold")
}

// TestBootableNowhere: it is told if the bootable digest goes nowhere.
func TestBootableNowhere(t *testing.T) {
	for _, c := range []struct {
		write   []cfslabel.Place
		formats []erofs.Format
		told    bool
	}{
		{nil, nil, false},
		{nil, []erofs.Format{erofs.V2}, true},
		{[]cfslabel.Place{cfslabel.InLabel}, nil, true},
		{[]cfslabel.Place{cfslabel.InLabel, cfslabel.InArtifact}, nil, false},
	} {
		s := newStore(t)
		s.pushLayers(t, "img:1", tarOf(t, bootBase()...))
		told := false
		o := bootOptions(func(o *cfslabel.Options) {
			o.Formats = c.formats
			o.Warn = func(w string) { told = told || strings.Contains(w, "written nowhere") }
		})
		label(t, s.open(t, "img:1"), cfslabel.LabelOptions{Options: o, Write: c.write})
		if told != c.told {
			t.Errorf("write %v, formats %v: told %v, want %v", c.write, c.formats, told, c.told)
		}
	}
}

// TestToBeSignedBootable: what is to be signed has the bootable role, attached it
// verifies; a UKI that names another digest stops it.
func TestToBeSignedBootable(t *testing.T) {
	s := newStore(t)
	key := newKernelKey(t, "key", farAway)
	s.pushLayers(t, "img:1", tarOf(t, bootBase()...))
	d, err := cfslabel.ToBeSigned(t.Context(), s.open(t, "img:1"), cfslabel.ToBeSignedOptions{Options: bootOptions()})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(d.Entries); n != 4 || d.Entries[3].Role != image.RoleMergedBootable {
		t.Fatalf("%d entries: %+v", n, d.Entries)
	}
	signatures := map[string][]byte{}
	for _, e := range d.Entries {
		signatures[e.Signature] = kernelSignature(t, key, e.Digest)
	}
	signature := func(name string) ([]byte, error) { return signatures[name], nil }
	if _, err := cfslabel.Attach(t.Context(), s.open(t, "img:1"), cfslabel.AttachOptions{Detached: d, Signature: signature, Certificate: key.Certificate()}); err != nil {
		t.Fatal(err)
	}
	if _, err := cfslabel.Verify(t.Context(), s.open(t, "img:1"), cfslabel.VerifyOptions{Certificate: key.Certificate()}); err != nil {
		t.Error(err)
	}
	s.withUKI(t, "img:2", ukiPath, ukitest.CommandLine("composefs="+minimal))
	for _, no := range []bool{false, true} {
		o := cfslabel.ToBeSignedOptions{Options: bootOptions(), NoUKICheck: no}
		if _, err := cfslabel.ToBeSigned(t.Context(), s.open(t, "img:2"), o); errors.Is(err, cfslabel.ErrMismatch) == no {
			t.Errorf("without looking at UKIs %v: %v", no, err)
		}
	}
}

// TestVerifyBootableWrong: a bootable digest that is not the image's, or of an
// image that hosts do not boot, is a finding.
func TestVerifyBootableWrong(t *testing.T) {
	s := newStore(t)
	noBoot := slices.DeleteFunc(bootBase(), func(f tarFile) bool { return strings.HasPrefix(f.name, "boot") })
	for name, c := range map[string]struct {
		files []tarFile
		wants []string
	}{
		"other": {bootBase(), []string{"the annotation " + bootableKey + " is " + minimal}},
		"none":  {noBoot, []string{"it has no bootable digest", bootableKey}},
	} {
		s.pushLayers(t, "img:"+name, tarOf(t, c.files...))
		label(t, s.open(t, "img:"+name), cfslabel.LabelOptions{})
		d, _, raw := s.pull(t, "img:"+name)
		raw = bytes.Replace(raw, []byte(`"`+mergedKey), []byte(`"`+bootableKey+`":"`+minimal+`","`+mergedKey), 1)
		d.Digest, d.Size = digestOf(raw), int64(len(raw))
		ref := s.openBy(t, "img:"+name, s.inside())
		if err := ref.Repo.Tag(t.Context(), ref.Tag, d, raw, ""); err != nil {
			t.Fatal(err)
		}
		_, err := cfslabel.Verify(t.Context(), s.open(t, "img:"+name), cfslabel.VerifyOptions{})
		mismatch, ok := errors.AsType[*cfslabel.MismatchError](err)
		if !ok {
			t.Fatalf("%s: %v", name, err)
		}
		for _, part := range c.wants {
			if !strings.Contains(strings.Join(mismatch.Findings, "\n"), part) {
				t.Errorf("%s: %q is not in %q", name, part, mismatch.Findings)
			}
		}
	}
}

// TestBootableArtifact: an artifact has the bootable digest as a role more, and is
// verified.
func TestBootableArtifact(t *testing.T) {
	s := newStore(t)
	s.pushLayers(t, "img:1", tarOf(t, bootBase()...))
	o := cfslabel.LabelOptions{Options: bootOptions(allOfThem), Write: []cfslabel.Place{cfslabel.InArtifact}}
	o.Xattrs, o.Formats = o.Xattrs[:1], o.Formats[:1]
	label(t, s.open(t, "img:1"), o)
	verified, err := cfslabel.Verify(t.Context(), s.open(t, "img:1"), cfslabel.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, o := range verified.Images[0].Objects {
		if o.Role == image.RoleMergedBootable && o.State == cfslabel.Holds {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d bootable digests hold in artifacts, want one of each algorithm", n)
	}
	o.IfNeeded = true
	again := label(t, s.open(t, "img:1"), o)
	if !again.Images[0].Believed || again.Images[0].Digests[0].Role != image.RoleMerged || again.Images[0].Digests[len(again.Images[0].Digests)-1].Role != image.RoleMergedBootable {
		t.Errorf("if needed: %+v", again.Images[0])
	}
}

// TestSlowPolicy: a pattern that backtracks for too long here may not do so on
// hosts, so that it is no reason to pass over the image.
func TestSlowPolicy(t *testing.T) {
	s := newStore(t)
	files := bootBase()
	files[len(files)-1].content += "/usr/(?=(x+x+)+y).* system_u:object_r:x_t:s0\n"
	s.pushLayers(t, "img:1", tarOf(t, append(files, tarFile{name: "usr/" + strings.Repeat("x", 200)})...))
	_, err := cfslabel.Label(t.Context(), s.open(t, "img:1"), cfslabel.LabelOptions{Options: bootOptions(), SkipUnsealable: true})
	if !errors.Is(err, selinux.ErrLimit) || errors.Is(err, cfslabel.ErrUnbootable) {
		t.Error(err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package fsverity_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/internal/oracle"
)

var algorithms = []fsverity.Algorithm{fsverity.SHA256, fsverity.SHA512}

// pattern returns n bytes that differ from block to block.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i) ^ byte(i>>12) ^ byte(i>>20)*31
	}
	return b
}

// boundaries returns the lengths around which the Merkle tree changes shape:
// nothing, one block, and one, two and three levels of hashes.
func boundaries(alg fsverity.Algorithm) []int {
	perBlock := fsverity.BlockSize / alg.Size()
	lengths := []int{0, 1, 63, 64, 65}
	for _, edge := range []int{
		fsverity.BlockSize,
		2 * fsverity.BlockSize,
		perBlock * fsverity.BlockSize,
		(perBlock + 1) * fsverity.BlockSize,
		perBlock * perBlock * fsverity.BlockSize,
		(perBlock*perBlock + 1) * fsverity.BlockSize,
	} {
		lengths = append(lengths, edge-1, edge, edge+1)
	}
	return lengths
}

// TestGolden pins digests that fsverity-utils 1.5 printed.
func TestGolden(t *testing.T) {
	for _, tc := range []struct {
		alg    fsverity.Algorithm
		length int
		want   string
	}{
		{fsverity.SHA256, 0, "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95"},
		{fsverity.SHA256, 1, "b803429503d95915829b29fdbc8bbad142f3abfd11b1cadf5526582e685c0551"},
		{fsverity.SHA256, 4095, "c91eabf17d32ede8864edf3412c084d8ff485ac932f7ccbf91a2c7f0efccb85e"},
		{fsverity.SHA256, 4096, "15a0095100272ab90a2209e97f8a2c54dff6f84d2b29524f95d92fe23b6ef25b"},
		{fsverity.SHA256, 4097, "4a9eb50b85c6758d29ba6fb9c851354dafce42cd5fd589f749ffeb752a48fc9f"},
		{fsverity.SHA256, 262144, "d835aa8bd5e1af8cc3dd8bff448376a409172b1d356237e30d400d59eb7c7b57"},
		{fsverity.SHA256, 262145, "6ab51757fe50e26db2fe1496c9000d2bc835e6f107c16c363132615dbe41c5d5"},
		{fsverity.SHA256, 524288, "8ea95b0a5f4c6e1d4c67ea01adac936b8b449813de177998c9f428d766956495"},
		{fsverity.SHA256, 524289, "6dbe13fcb664b254a13ea642965a9a2e608dbaab3fe02cd1fdc9880c6a7a4011"},
		{fsverity.SHA256, 17825792, "677bbd3bbf2f74e02a1f6bc74f054953d2bcc43d95895c69d352e30272f63142"},
		{fsverity.SHA512, 0, "ccf9e5aea1c2a64efa2f2354a6024b90dffde6bbc017825045dce374474e13d10adb9dadcc6ca8e17a3c075fbd31336e8f266ae6fa93a6c3bed66f9e784e5abf"},
		{fsverity.SHA512, 1, "9fcf5172b085b1c8f9365eecb37a1869e193a4705654a5829f11939cd01d5c0fd97276be8cd9d49f76cfc8dcfeb80f8128e3548a1de50b56912b9e3fc7bde27b"},
		{fsverity.SHA512, 4095, "f15282a987ea369d0138a0cccfc5a865cac6eff5a61baca50c88aa0886552ab230d7a9e419965aaf1427fe24040bbbe89a9cd032f70eae056ec8fde0c6467818"},
		{fsverity.SHA512, 4096, "bc9268f3b36837ce4e5197cd2d0556f8f66af7dbe9fc81c63c346f46e1a52059b27c433aa94e483c063e1f91f76093338e05bd2ec413410c4f0a94ae0ad99cd3"},
		{fsverity.SHA512, 4097, "e652098e6c40b15b89fae749ffb1adf9877e759c909f865fb2889a910b4135b6a093de60b231f43b25672d2ac75dd9b5b1fa8a08c1ee35ba60b20088906ec2a7"},
		{fsverity.SHA512, 262144, "d9ecbb6c12dc1a54596b93c95b7c903dde9a9fd713c4b8de08a76685368792f9c6e4b41011c07917535ea924a53109c230c78f04ea33111b32e2e7e3224dd35c"},
		{fsverity.SHA512, 262145, "5941c727308f02d271edf42201ef7a5efa95caeddf3c91426895532834da77892ecd096d48f87bc091979e749b64e5468276133429a17ba62b95d26c4035610c"},
		{fsverity.SHA512, 524288, "8b069227dca30e9912adccc75c0938068a5b978bc74f9e4c53fd7c2c2a6abef4c117c0237c926118be1ceb4fce761487dfd65edf9b4c566139a846285c50fbcc"},
		{fsverity.SHA512, 524289, "01c39d1c86acb99d26911ab661880fe52c035dfdd27c822ce41d4188ff90682981b54755a53b7049336d8a94c8395c520a40d2bd03ec90866e139aee5fb6da51"},
		{fsverity.SHA512, 17825792, "c7efce4adf8290dd6ec35bed6d0a3b236c67a9434d5b57354764acbd05cc97f990c8e7c32a60556d1ef0b764f154a7cf6429a208ac6d924e7b0987fb7f07eb37"},
	} {
		if got := fsverity.Sum(tc.alg, pattern(tc.length)).String(); got != tc.want {
			t.Errorf("%s of %d bytes = %s, want %s", tc.alg, tc.length, got, tc.want)
		}
	}
}

// TestAgainstFsverityUtils compares with the program fsverity at every length
// where the shape of the tree changes.
func TestAgainstFsverityUtils(t *testing.T) {
	program := oracle.Require(t, "fsverity")
	for _, alg := range algorithms {
		t.Run(alg.String(), func(t *testing.T) {
			for _, length := range boundaries(alg) {
				if testing.Short() && length > 1<<20 {
					continue
				}
				file := filepath.Join(t.TempDir(), "data")
				if err := os.WriteFile(file, pattern(length), 0o600); err != nil {
					t.Fatal(err)
				}
				out, err := exec.Command(program, "digest", "--compact", "--hash-alg="+alg.String(), file).Output()
				if err != nil {
					t.Fatal(err)
				}
				if got, want := fsverity.Sum(alg, pattern(length)).String(), strings.TrimSpace(string(out)); got != want {
					t.Errorf("%d bytes: got %s, fsverity says %s", length, got, want)
				}
			}
		})
	}
}

// TestSplitWrites: how a stream is cut into writes does not matter.
func TestSplitWrites(t *testing.T) {
	data := pattern(3*fsverity.BlockSize + 17)
	for _, alg := range algorithms {
		want := fsverity.Sum(alg, data)
		for split := range len(data) + 1 {
			h := fsverity.New(alg)
			_, _ = h.Write(data[:split])
			_, _ = h.Write(data[split:])
			if h.Digest() != want {
				t.Fatalf("%s: split at %d changes the digest", alg, split)
			}
		}
		h := fsverity.New(alg)
		for _, b := range data {
			_, _ = h.Write([]byte{b})
		}
		if h.Digest() != want {
			t.Errorf("%s: single bytes change the digest", alg)
		}
	}
}

// TestSumKeepsState: Sum may be asked for in the middle of a stream.
func TestSumKeepsState(t *testing.T) {
	for _, alg := range algorithms {
		data := pattern(70 * fsverity.BlockSize)
		h := fsverity.New(alg)
		for i, step := 0, 1000; i < len(data); i += step {
			if got, want := h.Sum(nil), fsverity.Sum(alg, data[:i]).Bytes(); !bytes.Equal(got, want) {
				t.Fatalf("%s: Sum after %d bytes = %x, want %x", alg, i, got, want)
			}
			_, _ = h.Write(data[i:min(i+step, len(data))])
		}
		if h.Digest() != fsverity.Sum(alg, data) {
			t.Errorf("%s: Sum changed the state", alg)
		}
		h.Reset()
		if h.Digest() != fsverity.Sum(alg, nil) {
			t.Errorf("%s: Reset left something behind", alg)
		}
	}
}

// TestBatch: many files and several algorithms at once give what each gives
// alone, and every file gets its number back.
func TestBatch(t *testing.T) {
	lengths := []int{0, 1, 4095, 4096, 4097, 64 * 4096, 64*4096 + 1, 128*4096 + 5}
	got := map[int]string{}
	b := fsverity.NewBatch(algorithms, func(file int, sums []byte) { got[file] = hex.EncodeToString(sums) })
	for _, n := range lengths {
		b.Begin(n)
		data := pattern(n)
		for len(data) > 0 {
			c := min(1500, len(data))
			_, _ = b.Write(data[:c])
			data = data[c:]
		}
		b.End()
	}
	b.Flush()
	for _, n := range lengths {
		want := fsverity.Sum(fsverity.SHA256, pattern(n)).String() + fsverity.Sum(fsverity.SHA512, pattern(n)).String()
		if got[n] != want {
			t.Errorf("%d bytes: got %s, want %s", n, got[n], want)
		}
	}
}

func TestSumReader(t *testing.T) {
	data := pattern(10000)
	got, err := fsverity.SumReader(bytes.NewReader(data), algorithms...)
	if err != nil {
		t.Fatal(err)
	}
	for i, alg := range algorithms {
		if got[i] != fsverity.Sum(alg, data) {
			t.Errorf("%s: got %s", alg, got[i])
		}
	}
}

// TestAllocations: a file costs no allocation once the Batch is warm.
func TestAllocations(t *testing.T) {
	b := fsverity.NewBatch(algorithms, func(int, []byte) {})
	data := pattern(200 * fsverity.BlockSize)
	file := func() {
		b.Begin(1)
		_, _ = b.Write(data)
		b.End()
	}
	file()
	if n := testing.AllocsPerRun(10, file); n > 0 {
		t.Errorf("%v allocations a file", n)
	}
}

func TestParse(t *testing.T) {
	d := fsverity.Sum(fsverity.SHA512, []byte("x"))
	back, err := fsverity.ParseDigest(fsverity.SHA512, d.String())
	if err != nil || back != d {
		t.Errorf("ParseDigest(%s) = %s, %v", d, back, err)
	}
	for _, bad := range []string{"", "00", strings.ToUpper(d.String()), d.String() + "00", "zz" + d.String()[2:]} {
		if _, err := fsverity.ParseDigest(fsverity.SHA512, bad); err == nil {
			t.Errorf("ParseDigest(%q) gave no error", bad)
		}
	}
	if _, err := fsverity.ParseAlgorithm("md5"); err == nil {
		t.Error("ParseAlgorithm(md5) gave no error")
	}
}

// FuzzChunks: any cutting of any stream gives the same digest.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("hello"), uint16(3), uint8(1))
	f.Add([]byte{}, uint16(4096), uint8(200))
	f.Fuzz(func(t *testing.T, seed []byte, chunk uint16, times uint8) {
		data := bytes.Repeat(seed, int(times)+1)
		for _, alg := range algorithms {
			h := fsverity.New(alg)
			for rest := data; len(rest) > 0; {
				n := min(int(chunk)+1, len(rest))
				_, _ = h.Write(rest[:n])
				rest = rest[n:]
			}
			if h.Digest() != fsverity.Sum(alg, data) {
				t.Errorf("%s: chunks of %d change the digest of %d bytes", alg, chunk+1, len(data))
			}
		}
	})
}

func ExampleSum() {
	fmt.Println(fsverity.Sum(fsverity.SHA256, []byte("hello, world\n")))
	// Output: 8b174f1ec58f607df27386a4485c66913251da99af628e87dd62968cddd6bbc1
}

func BenchmarkHasher(b *testing.B) {
	data := pattern(1 << 20)
	for _, alg := range algorithms {
		b.Run(alg.String(), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			h := fsverity.New(alg)
			for b.Loop() {
				_, _ = h.Write(data)
			}
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package program_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/program"
)

// role, in the environment, is what the binary of the tests does as a program
// that signs.
const role = "PROGRAM_TEST_ROLE"

// held, in the environment, is the file that a program which is alone holds.
const held = "PROGRAM_TEST_HELD"

// TestMain makes the binary of the tests a program that signs.
func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		m.Run()
	case "args":
		fmt.Fprintf(os.Stdout, "%q", os.Args[1:])
		fmt.Fprint(os.Stderr, " and more")
	case "ask":
		_, _ = io.Copy(os.Stdout, os.Stdin)
	case "alone":
		// It holds a file, and fails if another does.
		f, err := os.OpenFile(os.Getenv(held), os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			os.Exit(4) //nolint:forbidigo // it is a program here
		}
		_ = f.Close()
		fmt.Fprint(os.Stdout, "?")
		_, _ = io.ReadFull(os.Stdin, make([]byte, 1))
		_ = os.Remove(f.Name())
	case "fail":
		os.Exit(3) //nolint:forbidigo // it is a program here
	case "hang":
		fmt.Fprint(os.Stdout, "hanging")
		select {}
	case "leave":
		// Somebody who holds the output open, and lives longer.
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), role+"=hang")
		c.Stdout = os.Stdout
		if err := c.Start(); err != nil {
			panic(err)
		}
		fmt.Fprintf(os.Stdout, "%d", c.Process.Pid)
	}
}

// image returns the name of an image.
func image(t *testing.T) sign.Image {
	t.Helper()
	d, err := name.NewDigest("quay.io/os/image@sha256:" + strings.Repeat("a", 64))
	must(t, err)
	return sign.Image{Name: d}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// quoted is the path of this binary as a word of a command.
func quoted(t *testing.T, as string) string {
	t.Helper()
	t.Setenv(role, as)
	self, err := os.Executable()
	must(t, err)
	return "'" + self + "'"
}

// run signs with a command and returns what it says.
func run(t *testing.T, command string) (string, error) {
	t.Helper()
	var said bytes.Buffer
	s, err := program.New(command, &said)
	must(t, err)
	must(t, s.Check(t.Context()))
	r, err := s.Sign(t.Context(), image(t))
	if len(r.Made) != 0 {
		t.Errorf("it says that it made %v", r.Made)
	}
	return said.String(), err
}

// TestWords: a command is split as a shell splits it, and nothing is expanded;
// the image is the last argument. What the program says goes to the writer.
func TestWords(t *testing.T) {
	t.Setenv("NAME", "value")
	for command, want := range map[string][]string{
		"":                            nil,
		"sign --key k":                {"sign", "--key", "k"},
		`sign  "a b" 'c "d' e\ f ''`:  {"sign", "a b", `c "d`, "e f", ""},
		"$NAME ${NAME} * ~ | tee > x": {"$NAME", "${NAME}", "*", "~", "|", "tee", ">", "x"},
		"`echo a` $(echo b) ; true":   {"`echo", "a`", "$(echo", "b)", ";", "true"},
	} {
		said, err := run(t, quoted(t, "args")+" "+command)
		must(t, err)
		if diff := cmp.Diff(fmt.Sprintf("%q and more", append(want, image(t).Name.String())), said); diff != "" {
			t.Errorf("%s (-want +got):\n%s", command, diff)
		}
	}
}

// TestCommands: what is no command is found at once, and a program that is not
// there by Check; neither error has the words.
func TestCommands(t *testing.T) {
	for _, command := range []string{"", "  ", "'' --key secret", `"no end --key secret`, "'no end --key secret", `no end --key secret\`} {
		_, err := program.New(command, nil)
		isError(t, err, sign.ErrOptions)
	}
	nobody := filepath.Join(t.TempDir(), "nobody")
	must(t, os.WriteFile(nobody, nil, 0o600))
	for _, name := range []string{"there-is-no-such-program", "/there/is/no/such/program", nobody} {
		s, err := program.New(name+" --key secret", nil)
		must(t, err)
		err = s.Check(t.Context())
		isError(t, err, sign.ErrOptions)
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name the program: %v", err)
		}
		_, err = s.Sign(t.Context(), image(t))
		isError(t, err, sign.ErrOptions)
	}
}

// isError checks the kind of an error, and that it does not hold what the commands
// of the tests hold.
func isError(t *testing.T, err, kind error) {
	t.Helper()
	if _, ok := errors.AsType[*sign.Error](err); !ok || !errors.Is(err, kind) {
		t.Errorf("got %v of type %T, want %v", err, err, kind)
	}
	if err != nil && strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err.Error()), "secret") {
		t.Errorf("the error has a word of the command: %v", err)
	}
}

// TestFails: a program that fails is an error with its name, the image and the
// exit status.
func TestFails(t *testing.T) {
	command := quoted(t, "fail")
	_, err := run(t, command+" --key secret")
	isError(t, err, sign.ErrService)
	for _, want := range []string{strings.Trim(command, "'"), "exit status 3", image(t).Name.String()} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not have %q: %v", want, err)
		}
	}
}

// TestInput: a program may ask.
func TestInput(t *testing.T) {
	r, w, err := os.Pipe()
	must(t, err)
	_, err = w.WriteString("an answer")
	must(t, err)
	must(t, w.Close())
	was := os.Stdin
	os.Stdin = r
	t.Cleanup(func() { os.Stdin = was })
	said, err := run(t, quoted(t, "ask"))
	must(t, err)
	if said != "an answer" {
		t.Errorf("it got %q", said)
	}
}

// TestOneAtATime: programs that are to run at once, by one signer or by several,
// run one after the other: each gets the answer to its own question. Who gives up
// does not wait for his turn.
func TestOneAtATime(t *testing.T) {
	command := quoted(t, "alone")
	t.Setenv(held, filepath.Join(t.TempDir(), "held"))
	r, w, err := os.Pipe()
	must(t, err)
	was := os.Stdin
	os.Stdin = r
	t.Cleanup(func() { os.Stdin = was })
	given, giveUp := context.WithCancel(t.Context())
	var once sync.Once
	answer := writer(func() {
		once.Do(func() { // while one runs
			s, err := program.New(command, nil)
			must(t, err)
			_, err = s.Sign(waiting{given, giveUp}, image(t)) //nolint:contextcheck // it waits with its own
			isError(t, err, context.Canceled)
		})
		_, _ = w.WriteString("!")
	})
	var all sync.WaitGroup
	for range 2 {
		s, err := program.New(command, answer)
		must(t, err)
		for range 3 {
			all.Go(func() {
				if _, err := s.Sign(t.Context(), image(t)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
}

// waiting is a context that ends when somebody waits for its end.
type waiting struct {
	context.Context //nolint:containedctx // it is one

	giveUp func()
}

func (w waiting) Done() <-chan struct{} {
	w.giveUp()
	return w.Context.Done()
}

// TestContext: who gives up ends the program.
func TestContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := program.New(quoted(t, "hang")+" --key secret", writer(cancel))
	must(t, err)
	_, err = s.Sign(ctx, image(t))
	isError(t, err, context.Canceled)
	isError(t, s.Check(ctx), context.Canceled)
}

// writer calls a function at the first word.
type writer func()

func (w writer) Write(p []byte) (int, error) {
	w()
	return len(p), nil
}

// TestLeftBehind: a program that ends well has signed, whoever it leaves behind.
func TestLeftBehind(t *testing.T) {
	said, err := run(t, quoted(t, "leave"))
	must(t, err)
	var pid int
	if _, err := fmt.Sscan(said, &pid); err != nil {
		t.Fatalf("%q: %v", said, err)
	}
	left, err := os.FindProcess(pid)
	must(t, err)
	must(t, left.Kill())
}

// TestHas: whether it would sign again, only the program knows.
func TestHas(t *testing.T) {
	s, err := program.New("program", nil)
	must(t, err)
	if has, err := s.Has(t.Context(), image(t)); has || err != nil {
		t.Errorf("has is %v, %v", has, err)
	}
}

// SPDX-License-Identifier: Apache-2.0

// Command compare times cfs-label against cfsctl on the same images, and prints
// a table in Markdown.
//
//	compare -ours cfs-label -theirs cfsctl -work DIR -runs 3 NAME=OURS=THEIRS...
//
// An image has a name for the table, a SOURCE for cfs-label and an image for
// cfsctl oci pull. The runs of the two programs alternate, so that whatever else
// the machine does meets both. The image is in the page cache for both: a run
// whose numbers are thrown away comes first.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	var c comparison
	flag.StringVar(&c.ours, "ours", "cfs-label", "our program")
	flag.StringVar(&c.theirs, "theirs", "cfsctl", "the reference")
	flag.StringVar(&c.work, "work", "", "directory for the reference's repositories")
	flag.StringVar(&c.algorithm, "algorithm", "sha512", "fs-verity algorithm")
	runs := flag.Int("runs", 3, "how often to run each")
	flag.Parse()
	if err := c.run(flag.Args(), *runs); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// A comparison has what all runs share.
type comparison struct{ ours, theirs, work, algorithm string }

// cost is what a run took. Memory is that of the largest process.
type cost struct {
	wall, cpu time.Duration
	peak      int64 // bytes
	written   int64 // bytes that reached, or will reach, a disk
}

// add adds the cost of a command that ran after those in c.
func (c *cost) add(d cost) {
	c.wall += d.wall
	c.cpu += d.cpu
	c.peak = max(c.peak, d.peak)
	c.written += d.written
}

func (c comparison) run(images []string, runs int) error {
	if c.work == "" || len(images) == 0 || runs < 1 {
		return errors.New("needs -work, at least one run, and an image")
	}
	fmt.Print("| image | program | wall s, median (best) | CPU s | peak MiB | disk MB | ratio |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, spec := range images {
		name, sources, ok := strings.Cut(spec, "=")
		ours, theirs, ok2 := strings.Cut(sources, "=")
		if !ok || !ok2 {
			return fmt.Errorf("%q is not NAME=OURS=THEIRS", spec)
		}
		if err := c.compare(name, ours, theirs, runs); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// compare prints the lines of one image.
func (c comparison) compare(name, ours, theirs string, runs int) error {
	var oursCosts, theirsCosts []cost
	for i := range runs + 1 {
		ourDigest, ourCost, err := c.runOurs(ours)
		if err != nil {
			return err
		}
		theirDigest, theirCost, err := c.runTheirs(theirs)
		if err != nil {
			return err
		}
		if ourDigest != theirDigest {
			return fmt.Errorf("cfs-label says %s, cfsctl %s", ourDigest, theirDigest)
		}
		if i > 0 { // the first warms up
			oursCosts, theirsCosts = append(oursCosts, ourCost), append(theirsCosts, theirCost)
		}
		fmt.Fprintf(os.Stderr, "%s: cfs-label %.2f s, cfsctl %.2f s, %s…\n", name, ourCost.wall.Seconds(), theirCost.wall.Seconds(), ourDigest[:16])
	}
	ratio := median(theirsCosts).wall.Seconds() / median(oursCosts).wall.Seconds()
	printLine(name, "cfsctl", theirsCosts, "1")
	printLine(name, "cfs-label", oursCosts, fmt.Sprintf("**%.1f×**", ratio))
	return nil
}

// runOurs computes the V1 digest.
func (c comparison) runOurs(source string) (string, cost, error) {
	return measure(c.ours, "compute", source, "--format", "v1", "--algorithm", c.algorithm)
}

// runTheirs does the same with a repository made for it. Making the repository
// counts, removing it does not.
func (c comparison) runTheirs(image string) (string, cost, error) {
	repository := filepath.Join(c.work, "repository")
	if err := os.RemoveAll(repository); err != nil {
		return "", cost{}, err
	}
	var total cost
	var digest string
	for _, args := range [][]string{
		{"init", "--insecure", "--algorithm", "fsverity-" + c.algorithm + "-12"},
		{"oci", "pull", image, "c"},
		{"oci", "compute-id", "c"},
	} {
		out, spent, err := measure(c.theirs, append([]string{"--repo", repository}, args...)...)
		if err != nil {
			return "", total, err
		}
		total.add(spent)
		digest = out
	}
	return digest, total, os.RemoveAll(repository)
}

// measure runs a command and returns what it printed and what it took, with
// all processes that it started and waited for.
func measure(program string, args ...string) (string, cost, error) {
	command := exec.Command(program, args...) //nolint:noctx // whoever looks at the clock ends it
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	start := time.Now()
	err := command.Run()
	spent := cost{wall: time.Since(start)}
	if err != nil {
		return "", spent, fmt.Errorf("%s: %w: %s", strings.Join(command.Args, " "), err, strings.TrimSpace(stderr.String()))
	}
	usage, ok := command.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return "", spent, errors.New("this system tells no resource usage")
	}
	spent.cpu = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	spent.peak = usage.Maxrss << 10     // Linux counts KiB
	spent.written = usage.Oublock * 512 // and blocks of 512 bytes
	return strings.TrimSpace(stdout.String()), spent, nil
}

// median returns the run of median time.
func median(costs []cost) cost {
	sorted := slices.SortedFunc(slices.Values(costs), func(a, b cost) int { return int(a.wall - b.wall) })
	return sorted[len(sorted)/2]
}

func printLine(name, program string, costs []cost, ratio string) {
	m, best := median(costs), costs[0].wall
	for _, c := range costs {
		best = min(best, c.wall)
	}
	fmt.Printf("| %s | %s | %.2f (%.2f) | %.1f | %.0f | %.0f | %s |\n", name, program,
		m.wall.Seconds(), best.Seconds(), m.cpu.Seconds(), float64(m.peak)/(1<<20), float64(m.written)/1e6, ratio)
}

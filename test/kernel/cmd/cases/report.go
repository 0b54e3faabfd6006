// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cfs-label/cfs-label/test/kernel/plan"
)

// report prints what the kernel did as a table. The error is that something is
// not as expected, or was not answered.
func report(w io.Writer, planFile, outcomesFile string) error {
	p, err := readPlan(planFile)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(outcomesFile)
	if err != nil {
		return err
	}
	outcomes := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, outcome, _ := strings.Cut(strings.TrimSpace(line), "\t")
		outcomes[name] = outcome
	}
	rows, failed := 0, 0
	row := func(what, kernel, wanted, ours, oursWanted string) {
		result := "ok"
		if kernel != wanted || ours != oursWanted {
			result = fmt.Sprintf("FAILED: wanted %s, %s", wanted, oursWanted)
			failed++
		}
		rows++
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", what, kernel, ours, result)
	}
	fmt.Fprintf(w, "Linux %s, qemu without KVM.\n\n", outcomes[plan.Version])
	fmt.Fprint(w, "| what | kernel | cfs-label | result |\n| --- | --- | --- | --- |\n")
	for _, c := range p.Certificates {
		row("certificate: "+c.Name, outcomes[certificateKey(c)], c.Kernel, "", "")
	}
	row(plan.Unsigned, outcomes[plan.Unsigned], plan.Taken, "", "")
	for _, c := range p.Cases {
		row("signature: "+c.Name, outcomes[c.Name], c.Kernel, c.Verdict, c.Ours)
	}
	row(plan.Mounted, outcomes[plan.Mounted], plan.Taken, "", "")
	if fatal := outcomes["fatal"]; fatal != "" {
		return fmt.Errorf("in the machine: %s", fatal)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d not as expected", failed, rows)
	}
	_, err = fmt.Fprintf(w, "\n%d checks passed, 0 failed\n", rows)
	return err
}

func certificateKey(c plan.Certificate) string { return "certificate: " + c.Name }

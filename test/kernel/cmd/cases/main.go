// SPDX-License-Identifier: Apache-2.0

// Command cases makes the signatures of the kernel test, and reports what the
// kernel did with them.
//
//	cases make IMAGE DUMP PLAN     writes the plan for a composefs image
//	cases report PLAN OUTCOMES     prints a table; fails if one is unexpected
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/cfs-label/cfs-label/test/kernel/plan"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cases:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 4 && args[0] == "make":
		return makePlan(args[1], args[2], args[3])
	case len(args) == 3 && args[0] == "report":
		return report(os.Stdout, args[1], args[2])
	}
	return errors.New("usage: cases make IMAGE DUMP PLAN | cases report PLAN OUTCOMES")
}

func readPlan(file string) (plan.Plan, error) {
	var p plan.Plan
	text, err := os.ReadFile(file)
	if err != nil {
		return p, err
	}
	err = json.Unmarshal(text, &p)
	return p, err
}

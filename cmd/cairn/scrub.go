package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

func scrubVerb() verb {
	return verb{
		name: "scrub", short: "compare what the nodes have with what they should have",
		usage: `
Lists every node, which tells what is missing, and with --sample or --full reads bytes
too, each proven by a signed root. A running gateway does the same by itself: a listing a
day, every byte in 30 days (scrub.every), within each node's traffic.

  --node NAME       this node only
  --sample P        read so much of the bytes: 0.1 or 10%
  --full            read all of them
  --repair          mend what is found` + workFlags + `

Exit status 5 when wrong bytes were found and not mended, 9 when packs are lost.`,
		try: `
cairn scrub --node dora --sample 10%
cairn scrub --full --repair --bwlimit 8M`,
		run: runScrub, again: goesOn,
	}
}

func runScrub(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	var w engine.Work
	f.StringVar(&w.Node, "node", "", "")
	f.Func("sample", "", func(s string) (err error) { w.Sample, err = parseShare(s); return err })
	f.BoolVar(&w.Full, "full", false, "")
	f.BoolVar(&w.Repair, "repair", false, "")
	workFlagsOf(f, &w)
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	if w.Full && f.given("sample") {
		return usageError(v, "--full and --sample exclude each other")
	}
	return runWork(ctx, f, scrubStore(), w)
}

// parseShare reads a part of a whole: 0.1 or 10%.
func parseShare(s string) (float64, error) {
	text, percent := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(text, 64)
	if percent {
		n /= 100
	}
	if err != nil || !(n > 0 && n <= 1) {
		return 0, fmt.Errorf("%q: write a part such as 0.1 or 10%%: %w", s, cairn.ErrInvalid)
	}
	return n, nil
}

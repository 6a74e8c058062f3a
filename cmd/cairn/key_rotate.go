package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

func keyRotateVerb() verb {
	return verb{
		name: "key rotate", short: "seal what is written from now on under a new key",
		usage: `
The new key goes to the nodes, then into use; then everything sealed under the old one is
sent and named by a checkpoint, and the old epoch is closed: a pack that turns up in it
later is never believed. Cut off anywhere, the same command goes on.

Old packs stay sealed under their old keys. Sealing them anew is done when packs are
compacted, which this release does not do yet.

  --now   seal old packs anew at once (not in this release)`,
		try: `cairn key rotate`,
		run: runKeyRotate,
	}
}

func rotateKeys() operation[none, engine.Rotated] {
	return operation[none, engine.Rotated]{"key rotate", func(ctx context.Context, e *engine.Engine, _ none, report progress) (engine.Rotated, error) {
		return e.RotateKeys(ctx, report.text)
	}}
}

func runKeyRotate(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	now := f.Bool("now", false, "")
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	if *now {
		return fmt.Errorf("--now: sealing old packs anew needs compaction, which this release does not do; without --now, what is written from here on has a new key: %w", cairn.ErrInvalid)
	}
	out, err := rotateKeys().do(ctx, f, none{})
	if err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	done := "Epoch %d is in use, and %s closed: a checkpoint names all that is of %s.\n"
	if !out.Begun {
		done = "A rotation that was cut off is finished.  " + done
	}
	which, it := "nothing is", "it"
	switch n := len(out.Closed); {
	case n == 1:
		which = fmt.Sprintf("epoch %d is", out.Closed[0])
	case n > 1:
		which, it = "epochs "+strings.Trim(strings.ReplaceAll(fmt.Sprint(out.Closed), " ", ", "), "[]")+" are", "them"
	}
	e.printf(done, out.Epoch, which, it)
	e.printf("Packs that stand stay sealed under their old keys until they are compacted, which this release does not do yet.\n")
	return nil
}

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

func keyRotateVerb() verb {
	return verb{
		name: "key rotate", short: "seal what is written from now on under a new key",
		usage: `
The new key goes to the nodes, then into use; then everything sealed under the old one is
sent and named by a checkpoint, and the old epoch is closed: a pack that turns up in it
later is never believed. Cut off anywhere, the same command goes on.

Old packs stay sealed under their old keys until they are compacted. With --now all of them
are sealed anew at once: everything is read and written once, and the old packs leave the
nodes about a day later, as deleted bytes do.

  --now   seal old packs anew at once`,
		try: `cairn key rotate`,
		run: runKeyRotate,
	}
}

type rotateArgs struct {
	Now bool `json:"now,omitempty"`
}

func rotateKeys() operation[rotateArgs, engine.Rotated] {
	return operation[rotateArgs, engine.Rotated]{"key rotate", func(ctx context.Context, e *engine.Engine, a rotateArgs, report progress) (engine.Rotated, error) {
		return e.RotateKeys(ctx, a.Now, report)
	}}
}

func runKeyRotate(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	now := f.Bool("now", false, "")
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	out, err := rotateKeys().do(ctx, f, rotateArgs{Now: *now})
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
	switch {
	case out.Sealed == nil:
		e.printf("Packs that stand stay sealed under their old keys until they are compacted; --now seals them anew at once.\n")
	case out.Left > 0:
		e.printf("%s sealed anew. %s still of an earlier epoch, held by uploads in progress: once those end, the same command does the rest.\n", bytesText(out.Sealed.Live), count(int64(out.Left), "pack"))
	default:
		e.printf("%s sealed anew. The old packs leave the nodes once every node knows and a day has passed; what a node kept of them stays readable with the old key.\n", bytesText(out.Sealed.Live))
	}
	return nil
}

package main

import (
	"context"
	"time"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

func flushVerb() verb {
	return verb{
		name: "flush", short: "send everything that only this machine holds to the nodes",
		usage: `
Returns when every object is on the nodes as the coding wants it; then this machine
holds nothing that they lack. What is in its way ends it.`,
		try:   `cairn flush && systemctl poweroff`,
		again: "what was sent stays sent; a gateway that runs goes on by itself, else give the command again",
		run:   runFlush,
	}
}

// flushed is what a flush came to.
type flushed struct {
	Bytes int64   `json:"bytes"` // that only this machine held
	Took  float64 `json:"took_s"`
	Fsync int64   `json:"fsyncs"`
}

func flushAll() operation[none, flushed] {
	return operation[none, flushed]{"flush", func(ctx context.Context, e *engine.Engine, _ none, report progress) (flushed, error) {
		start := time.Now()
		before, err := e.Status(ctx)
		if err != nil {
			return flushed{}, err
		}
		done := make(chan error, 1)
		go func() { // waited for below, whatever happens
			err := e.Alone(ctx) // else what the nodes have is not the store's
			if err == nil {
				err = e.Store.Flush(ctx)
			}
			done <- err
		}()
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case err := <-done:
				if err != nil {
					return flushed{}, err
				}
				after, err := e.Status(ctx)
				return flushed{Bytes: before.HereOnly, Took: time.Since(start).Seconds(), Fsync: after.Fsyncs - before.Fsyncs}, err
			case <-tick.C:
				if s, err := e.Status(ctx); err == nil {
					sent := max(before.HereOnly-s.HereOnly, 0) // writes go on meanwhile
					report(engine.Progress{Text: "flush", Done: sent, Of: before.HereOnly, Bytes: sent})
				}
			}
		}
	}}
}

func runFlush(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	out, err := flushAll().do(ctx, f, none{})
	if err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	e.printf("flushed %s in %.1f s: the nodes have everything\n", bytesText(out.Bytes), out.Took)
	return nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/admin"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/config"
)

// operation is what a verb does to an open store. Arguments and result travel
// as JSON, whether a gateway or this process has the store open, so that both
// ways are one.
type operation[A, R any] struct {
	name string
	run  func(ctx context.Context, e *engine.Engine, args A, report progress) (R, error)
}

// verb is o on an engine, for the admin socket of a gateway.
func (o operation[A, R]) verb(e *engine.Engine) admin.Verb {
	return admin.Verb{Name: o.name, Run: func(ctx context.Context, raw json.RawMessage, progress func(any)) (any, error) {
		var args A
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields() // what another release means by it is not guessed
		if err := d.Decode(&args); err != nil {
			return nil, fmt.Errorf("%s: arguments: %w: %w", o.name, err, cairn.ErrInvalid)
		}
		meter := engine.NewMeter(func(p engine.Progress) { progress(p) })
		return o.run(ctx, e, args, meter.Report)
	}}
}

// do carries o out: inside the gateway that has the store open, or else on the
// store opened here.
func (o operation[A, R]) do(ctx context.Context, f *flags, args A) (R, error) {
	var out R
	f.waits.set("read cairn.toml", engine.Disk, nil)
	c, err := f.settings()
	if err != nil {
		return out, err
	}
	progress := func(raw json.RawMessage) {
		if f.json {
			_ = f.e.json(map[string]json.RawMessage{"progress": raw})
			return
		}
		var p engine.Progress
		if json.Unmarshal(raw, &p) == nil {
			f.e.progress(progressText(p))
		}
	}
	g, e, err := f.reach(ctx, c)
	switch {
	case err != nil:
		return out, err
	case g != nil:
		f.inGateway = true
		f.waits.set(c.Admin.Socket, engine.Gateway, nil)
		err = g.Call(ctx, o.name, args, progress, &out)
		return out, err
	}
	out, err = o.here(ctx, e, args, progress)
	return out, errors.Join(err, closeEngine(ctx, e))
}

// here carries o out on e, by the same way that a gateway would.
func (o operation[A, R]) here(ctx context.Context, e *engine.Engine, args A, progress func(json.RawMessage)) (out R, err error) {
	raw, err := json.Marshal(args)
	if err != nil {
		return out, err
	}
	result, err := o.verb(e).Run(ctx, raw, func(v any) {
		if b, err := json.Marshal(v); err == nil {
			progress(b)
		}
	})
	if err != nil {
		return out, err
	}
	return result.(R), nil
}

// reach returns the gateway that has the store open, or the store opened here.
// Where it is locked and yet nobody listens, a gateway is about to start or to
// end, or another verb is at work: that is waited for.
func (f *flags) reach(ctx context.Context, c config.Config) (*admin.Client, *engine.Engine, error) {
	deadline := time.Now().Add(f.e.patience)
	for {
		f.waits.set("open "+c.Admin.Socket, engine.Disk, nil)
		g, err := admin.Dial(ctx, c.Admin.Socket)
		if !errors.Is(err, cairn.ErrNotExist) {
			return g, nil, err
		}
		e, err := f.open(ctx, c)
		if !errors.Is(err, engine.ErrInUse) {
			return nil, e, err
		}
		f.waits.set(c.Dir, engine.Holder, nil)
		if time.Now().After(deadline) {
			return nil, nil, fmt.Errorf("%w; no gateway listens at %s: is that the admin.socket it was started with?", err, c.Admin.Socket)
		}
		if err := pause(ctx); err != nil {
			return nil, nil, err
		}
	}
}

// pause is a moment between two looks at a lock.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(100 * time.Millisecond):
		return nil
	}
}

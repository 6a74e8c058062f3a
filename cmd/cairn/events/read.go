package events

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
)

// Filter chooses events; its zero value takes all.
type Filter struct {
	Since time.Time
	Node  string
}

func (f Filter) takes(e Event) bool {
	return !e.Time.Before(f.Since) && (f.Node == "" || e.Node == f.Node)
}

// Read returns the events at path that f takes, the newest last. No file is no
// event, and lines that were torn are passed over.
func Read(fs durable.FS, path string, f Filter) ([]Event, error) {
	out, _, err := read(fs, path, f)
	return out, err
}

// Follow calls show for each event that f takes, those that are there and then
// each new one, until ctx ends.
func Follow(ctx context.Context, fs durable.FS, path string, f Filter, show func(Event)) error {
	out, at, err := read(fs, path, f)
	if err != nil {
		return err
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, e := range out {
			show(e)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if out, at, err = readFrom(fs, path, f, at); err != nil {
			return err
		}
	}
}

// read returns all events, and where the newest file ends.
func read(fs durable.FS, path string, f Filter) ([]Event, int64, error) {
	for try := 0; ; try++ {
		old, err := load(fs, oldName(path))
		if err != nil {
			return nil, 0, err
		}
		now, err := load(fs, path)
		if err != nil {
			return nil, 0, err
		}
		// Was the file made the old one meanwhile? Then the one between is missing.
		again, err := load(fs, oldName(path))
		if err != nil {
			return nil, 0, err
		}
		if bytes.Equal(old, again) || try == 3 {
			return append(parse(old, f), parse(now, f)...), whole(now), nil
		}
	}
}

// readFrom returns what came after at.
func readFrom(fs durable.FS, path string, f Filter, at int64) ([]Event, int64, error) {
	now, err := load(fs, path)
	if err != nil {
		return nil, at, err
	}
	if end := whole(now); end >= at {
		return parse(now[at:end], f), end, nil
	}
	old, err := load(fs, oldName(path)) // which now is the old one
	if err != nil {
		return nil, at, err
	}
	return append(parse(old[min(at, int64(len(old))):], f), parse(now, f)...), whole(now), nil
}

// whole is where the last whole line of b ends.
func whole(b []byte) int64 { return int64(bytes.LastIndexByte(b, '\n') + 1) }

func load(fs durable.FS, path string) ([]byte, error) {
	b, err := durable.ReadFile(fs, path, 2*maxFile)
	if errors.Is(err, cairn.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

func parse(b []byte, f Filter) (out []Event) {
	for line := range bytes.Lines(b) {
		var e Event
		if json.Unmarshal(line, &e) == nil && e.What != "" && f.takes(e) {
			out = append(out, e)
		}
	}
	return out
}

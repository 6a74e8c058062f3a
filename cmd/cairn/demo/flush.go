package demo

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/cairn-storage/cairn"
)

// flushed is the answer of flush.
type flushed struct {
	head
	Seconds  float64 `json:"seconds"`
	Packs    int     `json:"packs"`        // on the nodes
	HereOnly int64   `json:"staged_bytes"` // that only this machine holds
}

// flush sends everything to the nodes.
func (d *demo) flush(ctx context.Context) (reply, error) {
	started := time.Now()
	ended := d.leave(ctx)
	s, err := d.engine.Store.Status(ctx)
	if err != nil {
		return nil, err
	}
	return &flushed{Seconds: time.Since(started).Seconds(), Packs: s.Packs, HereOnly: s.OnlyHere}, ended
}

const (
	// leaveTime is how long leave waits for packs that the nodes have to go
	// from this machine.
	leaveTime = 20 * time.Second
	// empty is what a stage without objects takes at most, bytes.
	empty = 64 << 10
)

// leave sends everything to the nodes and waits until this machine has let go
// of it, so that what is read afterwards comes from there and nodes that are
// killed are missed. The gateway looks at every shard once more before.
func (d *demo) leave(ctx context.Context) error {
	if err := d.engine.Store.Flush(ctx); err != nil {
		return err
	}
	late := time.NewTimer(leaveTime)
	defer late.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		here, err := d.staged()
		if err != nil || here == 0 {
			return err
		}
		select {
		case <-look.C:
		case <-late.C:
			return nil // verify says how many are still here
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// staged counts the packs with objects on the gateway's own disk.
func (d *demo) staged() (n int, err error) {
	dir := filepath.Join(d.file().Dir, "stage")
	names, err := d.fs.List(dir)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		size, err := d.fs.Size(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, cairn.ErrNotExist) { // released meanwhile
			return 0, err
		}
		if size > empty {
			n++
		}
	}
	return n, nil
}

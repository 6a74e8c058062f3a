package demo

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/cairn-storage/cairn/layout"
)

// each calls do for 0..n-1 in order, width at a time, until ctx ends.
func each(ctx context.Context, n int, do func(i int)) error {
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(width, n) {
		wg.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	defer wg.Wait()
	defer close(next)
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// loaded is the answer of load.
type loaded struct {
	head
	Objects   int     `json:"objects"` // acknowledged
	Refused   int     `json:"refused"` // not acknowledged
	Bytes     int64   `json:"bytes"`
	Packs     int     `json:"packs"`
	Files     int     `json:"files"` // new on all nodes together
	PerObject float64 `json:"files_per_object"`
	Fsyncs    int64   `json:"fsyncs"` // by the gateway, until the last PUT was acknowledged
	Fsync     float64 `json:"fsyncs_per_object"`
	Seconds   float64 `json:"seconds"` // of the PUTs
	Nodes     int     `json:"nodes"`
	Waiting   string  `json:"waiting,omitempty"` // why not all of it is on the nodes
	HereOnly  int64   `json:"staged_bytes"`      // that only this machine holds
}

// load puts n objects through the S3 endpoint, and then sends them to the
// nodes.
//
// Order: the batch is in demo.json before its first object can be in the
// store, so a load that was cut off is known as such; and is marked done only
// after the last answer.
func (d *demo) load(ctx context.Context, n int) (reply, error) {
	before, files, err := d.measure(ctx)
	if err != nil {
		return nil, err
	}
	b := batch{First: d.state.next(), N: n}
	d.state.Loads = append(d.state.Loads, b)
	if err := d.state.write(d.fs, d.dir); err != nil {
		return nil, err
	}
	out := &loaded{Nodes: len(d.nodes)}
	var mu sync.Mutex // guards out, b and first
	var first error
	started := time.Now()
	ended := each(ctx, n, func(i int) {
		i += b.First
		body := d.objects.body(i)
		err := d.client.put(ctx, d.objects.key(i), body)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			b.Refused = append(b.Refused, i)
			if first == nil {
				first = err
			}
			return
		}
		out.Objects++
		out.Bytes += int64(len(body))
	})
	out.Seconds = time.Since(started).Seconds()
	if ended != nil {
		return nil, ended
	}
	slices.Sort(b.Refused)
	b.Done, out.Refused = true, len(b.Refused)
	d.state.Loads[len(d.state.Loads)-1] = b
	if err := d.state.write(d.fs, d.dir); err != nil {
		return nil, err
	}
	acknowledged := d.counts.Counts().Fsyncs()
	if err := d.leave(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		out.Waiting = oneLine(err)
	}
	after, now, err := d.measure(ctx)
	if err != nil {
		return nil, err
	}
	out.Packs, out.Files, out.HereOnly = after.packs-before.packs, now-files, after.hereOnly
	out.Fsyncs = acknowledged - before.fsyncs
	if out.Objects > 0 {
		out.PerObject = float64(out.Files) / float64(out.Objects)
		out.Fsync = float64(out.Fsyncs) / float64(out.Objects)
	}
	if first != nil {
		return out, fmt.Errorf("%s of %s objects were refused, the first: %w", count(out.Refused), count(n), first)
	}
	return out, nil
}

// figures are what load reports the growth of.
type figures struct {
	packs    int
	fsyncs   int64
	hereOnly int64
}

// measure returns the gateway's figures and the shard files on all nodes.
func (d *demo) measure(ctx context.Context) (figures, int, error) {
	s, err := d.engine.Store.Status(ctx)
	if err != nil {
		return figures{}, 0, err
	}
	files := 0
	for _, n := range d.nodes {
		k, err := n.shards()
		if err != nil {
			return figures{}, 0, err
		}
		files += k
	}
	return figures{packs: s.Packs, fsyncs: d.counts.Counts().Fsyncs(), hereOnly: s.OnlyHere}, files, nil
}

// shards counts the files below the node's packs/, as its owner could.
func (d *node) shards() (n int, err error) {
	err = filepath.WalkDir(filepath.Join(d.dir, layout.PacksDir), func(_ string, e fs.DirEntry, err error) error {
		switch {
		case err == nil && !e.IsDir():
			n++
		case isNotExist(err):
			err = nil // no pack yet, or a file was removed meanwhile
		}
		return err
	})
	return n, err
}

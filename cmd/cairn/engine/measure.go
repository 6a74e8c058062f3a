package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/conform"
	"github.com/cairn-storage/cairn/layout"
)

const (
	probePut   = 4 << 20  // a shard of a full pack coded 4+3
	probeRange = 64 << 10 // one block
)

// Measured is what a node can do, as seen just now.
type Measured struct {
	Kind         string        `json:"kind"`
	AtomicRename bool          `json:"atomic_rename"`
	Fsync        bool          `json:"fsync"`
	RTT          time.Duration `json:"rtt_ns"`
	Put          time.Duration `json:"put_4mib_ns"`
	Range        time.Duration `json:"range_64kib_ns"`
	Free         int64         `json:"free_bytes"` // meaningful when Known
	Total        int64         `json:"total_bytes"`
	Known        bool          `json:"space_known"`
	Checks       []CheckResult `json:"checks"`
	Of           int           `json:"checks_of"` // how many the contract has
}

// CheckResult is one clause of the contract.
type CheckResult struct {
	Name string        `json:"name"`
	OK   bool          `json:"ok"`
	Why  string        `json:"why,omitempty"` // also of a promise never made
	Took time.Duration `json:"took_ns"`
	err  error
}

// Passed is how many clauses hold.
func (m Measured) Passed() (n int) {
	for _, c := range m.Checks {
		if c.OK {
			n++
		}
	}
	return n
}

// Failed is the first clause that does not hold, in the class of what was seen.
func (m Measured) Failed() error {
	for _, c := range m.Checks {
		if c.OK {
			continue
		}
		err := c.err
		if cairn.Class(err) == nil {
			err = fmt.Errorf("%s: %w", c.Why, cairn.ErrCorrupt)
		}
		return fmt.Errorf("%d of %d checks hold; not this one: %s: %w", m.Passed(), m.Of, c.Name, err)
	}
	if len(m.Checks) < m.Of {
		return fmt.Errorf("only %d of %d checks could be made: %w", len(m.Checks), m.Of, cairn.ErrUnavailable)
	}
	return nil
}

// measure finds out what r can do, in tmp/, and leaves nothing there.
func measure(ctx context.Context, r backends.Remote, progress func(string)) (Measured, error) {
	m := Measured{Of: len(conform.Checks())}
	if d, ok := backends.As[backends.Describer](r); ok {
		t, err := d.Describe(ctx)
		if err != nil {
			return m, err
		}
		m.Kind, m.AtomicRename, m.Fsync, m.RTT = t.Kind, t.AtomicRename, t.Fsync, t.RTT
	}
	if c, ok := backends.As[backends.Capacity](r); ok {
		if free, total, err := c.Free(ctx); err == nil {
			m.Free, m.Total, m.Known = free, total, true
		}
	}
	if err := m.speed(ctx, r); err != nil {
		return m, err
	}
	progress(fmt.Sprintf("measured: put 4 MiB %v, range 64 KiB %v", m.Put.Round(time.Millisecond), m.Range.Round(time.Millisecond)))
	// A directory of its own for each run: transports remove files and leave
	// directories, and none may pass 256 entries however often one checks.
	conform.Run(ctx, r, scratch("check-"), func(c conform.Result) {
		out := CheckResult{Name: c.Name, OK: c.OK(), Took: c.Took, err: c.Err}
		if c.Err != nil {
			out.Why = c.Err.Error()
		}
		m.Checks = append(m.Checks, out)
		progress(c.String())
	})
	return m, ctx.Err()
}

// scratch is a name in tmp/ that was never used.
func scratch(prefix string) string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return layout.TempPrefix + prefix + hex.EncodeToString(b[:])
}

func (m *Measured) speed(ctx context.Context, r backends.Remote) (err error) {
	b := make([]byte, probePut)
	rand.Read(b) // never fails; what compresses would measure something else
	name := scratch("probe-")
	defer func() { err = errors.Join(err, r.Delete(ctx, name)) }()
	start := time.Now()
	if err := r.Put(ctx, name, b); err != nil {
		return err
	}
	m.Put = time.Since(start)
	start = time.Now()
	err = r.ReadAt(ctx, name, b[:probeRange], probePut/2)
	m.Range = time.Since(start)
	return err
}

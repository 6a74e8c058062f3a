package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/observed"
)

// Clock is observed time: what the process was seen running, over all its lives.
type Clock interface {
	Now() time.Duration
	// Gap rises when more than ten minutes passed unseen.
	Gap() int
}

// grace knows since when, in observed time, every node that is not gone holds a
// root which covers the retired records up to some stamp. A pack is deleted one
// grace after that. It stands in a small file, so that a restart does not begin
// anew; where the file is missing or does not parse, and after a recovery, every
// grace has just begun.
type grace struct {
	fs   durable.FS
	name string
	// marks rise, in stamp and in time.
	marks []graceMark
}

type graceMark struct {
	upTo  cairn.Stamp
	since time.Duration
}

const (
	graceVersion = "cairn graces 1"
	graceMost    = 1 << 20 // bytes of the file
	graceMarks   = 1000    // checkpoints within one grace; more are taken together
)

func (c *Config) graceName() string { return filepath.Join(c.Dir, "graces") }

// openGrace opens the clock and what is known of graces, where there are roots.
func (s *Store) openGrace(ctx context.Context) error {
	if s.c.Roots == nil {
		return nil
	}
	if s.clock = s.c.Clock; s.clock == nil {
		own, err := observed.Open(ctx, s.c.FS, filepath.Join(s.c.Dir, "observed"))
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		s.clock, s.ownClock = own, own
	}
	var err error
	s.grace, err = loadGrace(s.c.FS, s.c.graceName(), s.clock.Now())
	return err
}

func (s *Store) closeClock() error {
	if s.ownClock == nil {
		return nil
	}
	return s.ownClock.Close()
}

// Clock is the observed time of this store; nil where it keeps no roots.
func (s *Store) Clock() Clock { return s.clock }

// loadGrace reads the file. now bounds what it says: a moment that the clock has
// not reached is one of a clock that was lost.
func loadGrace(fs durable.FS, name string, now time.Duration) (*grace, error) {
	g := &grace{fs: fs, name: name}
	b, err := durable.ReadFile(fs, name, graceMost)
	if errors.Is(err, cairn.ErrNotExist) || errors.Is(err, cairn.ErrCorrupt) {
		return g, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	marks, ok := parseGrace(b)
	if !ok {
		return g, nil
	}
	for i := range marks {
		marks[i].since = min(marks[i].since, now)
	}
	g.marks = marks
	return g, nil
}

// cover notes that everything up to and with upTo is covered on every node since
// now, unless it was before; old are marks that passed a grace of that length.
func (g *grace) cover(upTo cairn.Stamp, now, length time.Duration) error {
	n := len(g.marks)
	if upTo.IsZero() || n > 0 && upTo.Compare(g.marks[n-1].upTo) <= 0 {
		return nil
	}
	next := append(g.marks[:n:n], graceMark{upTo, now})
	for len(next) > 1 && now-next[1].since >= length {
		next = next[1:] // the one after it says all that it does
	}
	if len(next) > graceMarks {
		next = append(next[:graceMarks-1:graceMarks-1], next[len(next)-1])
	}
	if err := durable.WriteFile(g.fs, g.name, formatGrace(next)); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	g.marks = next
	return nil
}

// left is how much of a grace is left for what was retired at; covered is false
// while not every node is known to hold a root that covers it.
func (g *grace) left(at cairn.Stamp, now, length time.Duration) (left time.Duration, covered bool) {
	for _, m := range g.marks {
		if at.Compare(m.upTo) <= 0 {
			return max(length-max(now-m.since, 0), 0), true
		}
	}
	return length, false
}

func formatGrace(marks []graceMark) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, graceVersion)
	for _, m := range marks {
		fmt.Fprintln(&b, m.upTo.Life, m.upTo.LSN, m.since.Milliseconds())
	}
	fmt.Fprintln(&b, "end")
	return b.Bytes()
}

func parseGrace(b []byte) (marks []graceMark, ok bool) {
	lines := strings.Split(string(b), "\n")
	n := len(lines)
	if n < 3 || lines[0] != graceVersion || lines[n-2] != "end" || lines[n-1] != "" {
		return nil, false
	}
	for _, line := range lines[1 : n-2] {
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, false
		}
		life, err1 := strconv.ParseUint(f[0], 10, 32)
		lsn, err2 := strconv.ParseUint(f[1], 10, 64)
		ms, err3 := strconv.ParseInt(f[2], 10, 64)
		if errors.Join(err1, err2, err3) != nil || ms < 0 || ms > int64(1<<62/time.Millisecond) {
			return nil, false
		}
		m := graceMark{cairn.Stamp{Life: uint32(life), LSN: lsn}, time.Duration(ms) * time.Millisecond}
		if k := len(marks); k > 0 && (m.upTo.Compare(marks[k-1].upTo) <= 0 || m.since < marks[k-1].since) {
			return nil, false
		}
		marks = append(marks, m)
	}
	return marks, true
}

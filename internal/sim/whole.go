package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/scrub"
	"github.com/cairn-storage/cairn/store"
)

// Graces of a simulated store: those of the product, scaled so that a run sees
// them pass.
const (
	collectGrace = 3 * time.Minute // before what is retired is deleted
	lostAgain    = time.Minute     // between the two looks that make a shard lost
)

// wholeness is what keeps a store whole, as it is part of one life.
type wholeness struct {
	scrub *scrub.Scrub
	stop  context.CancelFunc
	done  chan struct{} // closed when the loops have ended
}

// keepWhole begins to look after l's shards; the loops run only where the setup
// says so, as what they ask nodes meanwhile makes a history another each time.
func (w *World) keepWhole(l *life, fs durable.FS) (err error) {
	l.scrub, err = scrub.New(w.ctx, scrub.Config{Nodes: l.fl, Store: l.st, Clock: l.clock, FS: fs, Dir: dir + "/scrub", Adopt: adopt(l.st), Idle: l.st.Idle, Staged: l.st.Staged, Clients: l.st.Clients,
		Every: time.Hour, List: 5 * time.Minute, Again: lostAgain, Settle: time.Minute, Suspect: 4 * time.Minute, After: 10 * time.Minute,
		Audits: 2000, Log: w.log})
	if err != nil || !w.Loops {
		return err
	}
	ctx, stop := context.WithCancel(w.ctx)
	l.stop, l.done = stop, make(chan struct{})
	go func() {
		defer close(l.done)
		_ = l.scrub.Run(ctx) // that it was told to end
	}()
	return nil
}

// end waits for the loops.
func (h *wholeness) end() {
	if h.stop != nil {
		h.stop()
		<-h.done
	}
}

func adopt(st *store.Store) func(context.Context, cairn.PackID, []cairn.Location) (string, error) {
	return func(ctx context.Context, id cairn.PackID, at []cairn.Location) (string, error) {
		a, err := st.Adopt(ctx, id, at)
		return fmt.Sprint(a), err
	}
}

// maintain carries out one of the verbs that keep a store whole. None may break
// a promise, whatever becomes of it; whether it did what it is for is looked at
// when everything is well, in Finish.
func (w *World) maintain(s Step, say func(error)) error {
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	var err error
	switch s.Do {
	case Scrub:
		_, err = w.life.scrub.Scrub(ctx, scrub.Request{Full: s.N%2 == 0, Sample: 0.3, Repair: true}, nil)
	case Repair:
		_, err = w.life.scrub.Repair(ctx, scrub.Request{}, nil)
	case Drain:
		_, err = w.life.scrub.Drain(ctx, w.nodes[s.Node%len(w.nodes)].ID, scrub.Request{}, nil)
	case Rebalance:
		_, err = w.life.scrub.Rebalance(ctx, scrub.Request{}, nil)
	case Compact:
		_, err = w.life.st.Compact(ctx, store.Compaction{Want: func(row index.PackRow, live uint64) bool {
			return s.N == 0 || hash(s.Content, row.Params.ID.Seq())%2 == 0
		}}, nil)
	case Collect:
		// A checkpoint waits for nodes as long as it is let.
		short, cancel := context.WithTimeout(ctx, 2*time.Minute)
		_, err = w.life.st.Checkpoint(short)
		cancel()
		if err == nil {
			_, err = w.life.st.Collect(ctx)
		}
	}
	say(err)
	if ctx.Err() != nil {
		return fmt.Errorf("%v did not end within %v: %w", s.Do, patience, err)
	}
	if err != nil && cairn.Class(err) == nil && !w.disk.dead() && !w.ill {
		return fmt.Errorf("%v: an error of no class: %w", s.Do, err)
	}
	return nil
}

// mend has packs that were coded for fewer nodes coded again, and every shard
// that is not good made again, as the loops would in time. It fails unless in the
// end every pack has all n.
func (w *World) mend() error {
	if err := w.whole(); err != nil {
		return err
	}
	if err := w.spared(); err != nil {
		return err
	}
	if err := w.coded(); err != nil {
		return err
	}
	held, err := w.recode()
	if err != nil {
		return err
	}
	if err := w.drain(); err != nil {
		return err
	}
	for range 10 { // log packs of before keep their coding
		if _, err = w.life.st.Checkpoint(w.ctx); !errors.Is(err, cairn.ErrSlowDown) {
			break
		}
		w.rest(w.Settle + time.Minute) // a small stage is full of what was written anew
	}
	if err != nil {
		return fmt.Errorf("checkpoint, all healed: %w", err)
	}
	if err := w.whole(); err != nil || held == 0 {
		return err
	}
	return w.weakest()
}

// spared takes those from the doomed packs that have come back from nodes that
// the index did not know to have them, as they were silent when it was made.
func (w *World) spared() error {
	for row, err := range w.life.st.Packs(cairn.PackID{}) {
		if err != nil {
			return err
		}
		if w.doomed[row.Params.ID] && len(w.life.fl.Verify(w.ctx, row.Params, row.At)) >= row.Params.Coding.K {
			delete(w.doomed, row.Params.ID)
		}
	}
	return nil
}

// weakest notes how many nodes the packs bear that uploads in progress keep from
// being coded again.
func (w *World) weakest() error {
	for row, err := range w.life.st.Packs(cairn.PackID{}) {
		if err != nil {
			return err
		}
		if row.State != index.Spread || w.doomed[row.Params.ID] {
			continue
		}
		if idle, err := w.life.st.Idle(row); err != nil {
			return err
		} else if !idle {
			w.bears = min(w.bears, row.Params.Coding.M)
		}
	}
	return nil
}

// coded waits until new packs get the coding that the store wants: the nodes are
// well, whoever was doubted before.
func (w *World) coded() error {
	want, err := cairn.ParseCoding(w.life.st.Coding())
	if err != nil { // "auto"
		return nil
	}
	for range 20 {
		got, err := w.life.fl.Coding(w.life.st.Coding())
		if err == nil && got == want {
			return nil
		}
		w.rest(time.Minute)
	}
	nodes, _ := w.life.fl.Status()
	return fmt.Errorf("all healed, and new packs are not coded %v: %+v", want, nodes)
}

// recode has packs that are coded otherwise than new ones written anew, and
// returns how many it could not as uploads in progress hold them.
func (w *World) recode() (held int, err error) {
	want, err := w.life.fl.Coding(w.life.st.Coding())
	if err != nil {
		return 0, fmt.Errorf("all healed: %w", err)
	}
	done, err := w.life.st.Compact(w.ctx, store.Compaction{Want: func(row index.PackRow, _ uint64) bool { return row.Params.Coding != want && !w.doomed[row.Params.ID] }}, nil)
	if err != nil {
		return 0, fmt.Errorf("recode, all healed: %w", err)
	}
	return done.Waiting, nil
}

// whole repairs until every pack that is needed has all n shards, good ones.
func (w *World) whole() error {
	var h scrub.Health
	var err error
	for range 20 {
		_, err = w.life.scrub.Scrub(w.ctx, scrub.Request{Full: true, Repair: true}, nil)
		if err != nil && cairn.Class(err) == nil {
			return fmt.Errorf("scrub, all healed: %w", err)
		}
		if _, err := w.life.st.Collect(w.ctx); err != nil {
			return fmt.Errorf("collect, all healed: %w", err)
		}
		w.rest(lostAgain + collectGrace)
		h = w.life.scrub.Health()
		if err == nil && h.Shards.Unknown == 0 {
			if err = w.short(); err == nil {
				return nil
			}
		}
	}
	return fmt.Errorf("repair does not make the store whole: %w, packs by missing shards %v, shards %+v, waiting for %q, stuck %v", err, h.Missing, h.Shards, h.Waiting, h.Stuck)
}

// short fails where a pack that something stored now depends on has not all of
// its shards. What only older roots name may have been coded for so few nodes
// that the bad ones took too much of it.
func (w *World) short() error {
	for row, err := range w.life.st.Packs(cairn.PackID{}) {
		if err != nil {
			return err
		}
		if row.State != index.Spread || w.doomed[row.Params.ID] || len(w.life.fl.Verify(w.ctx, row.Params, row.At)) == row.Params.Coding.N() {
			continue
		}
		if idle, err := w.life.st.Idle(row); err != nil || !idle {
			return errors.Join(fmt.Errorf("pack %v (%v, %v) has %d shards %v, of which verify %v", row.Params.ID, row.Kind, row.Params.Coding, len(row.At), row.At, w.life.fl.Verify(w.ctx, row.Params, row.At)), err)
		}
	}
	return nil
}

// others chooses as many nodes as may be lost, others than the bad ones as far
// as there are: that repair made these expendable is what it is for.
func (w *World) others() (out []int) {
	m := min(len(w.Bad), w.bears)
	for pass := range 2 {
		for i := range w.nodes {
			n := (i + int(w.Seed)) % len(w.nodes)
			if w.bad(n) == (pass == 1) && len(out) < m {
				out = append(out, n)
			}
		}
	}
	return out
}

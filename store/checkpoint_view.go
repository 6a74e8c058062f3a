package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// view is the index as of the end of a log pack, and what must be spread before
// anyone may be told of it.
type view struct {
	snap  *index.Snapshot
	cut   pack.CutOff // Seal comes when the log pack is sealed
	names []*staged   // packs that the records up to then lie in or name
	err   error
}

// viewed is called by the committer between two log packs: every record of
// those before is applied, and none later. It takes a view if one is wanted.
func (s *Store) viewed(last cairn.Stamp) {
	select {
	case s.ckpt.poked <- struct{}{}:
	default: // it looks anyway
	}
	if s.ckpt.wanted.CompareAndSwap(true, false) {
		s.ckpt.taken <- s.view(last)
	}
}

func (s *Store) view(last cairn.Stamp) (v view) {
	s.mu.Lock()
	v.cut = pack.CutOff{Number: s.chain.next - 1, Last: last}
	s.ckpt.cut, s.ckpt.seal = v.cut.Number, crypt.Hash{}
	if s.chain.done == v.cut.Number {
		s.ckpt.seal = s.chain.seal
	}
	var others []*staged
	named := make(map[cairn.PackID]bool)
	for _, p := range s.packs {
		if p.file.Kind != pack.Log {
			others = append(others, p)
			continue
		}
		v.names = append(v.names, p)
		for id := range p.deps {
			named[id] = true
		}
	}
	none := v.cut.Number == 0 || v.cut.Number <= s.ckpt.base.cut.Number && !s.ckpt.renew
	s.mu.Unlock()
	if none {
		v.err = errUnchanged
		return v
	}
	for _, p := range others {
		refers, err := s.idx.Referenced(p.id())
		if err != nil {
			v.err = err
			return v
		}
		if refers || named[p.id()] {
			v.names = append(v.names, p)
		}
	}
	v.snap, v.err = s.idx.Snapshot()
	return v
}

// takeView asks the committer for a view and closes the open log pack for it.
func (s *Store) takeView(ctx context.Context) (view, error) {
	s.ckpt.wanted.Store(true)
	answer := make(chan struct{})
	roll := s.com.roll
	for {
		select {
		case roll <- answer:
			roll = nil // its answer comes after the view
		case v := <-s.ckpt.taken:
			return v, v.err
		case <-ctx.Done():
			if !s.ckpt.wanted.CompareAndSwap(true, false) {
				v := <-s.ckpt.taken // the committer is at it
				v.close()
			}
			return view{}, fmt.Errorf("store: checkpoint: %w: %w", ctx.Err(), cairn.ErrUnavailable)
		}
	}
}

func (v *view) close() {
	if v.snap != nil {
		_ = v.snap.Close() // nothing to lose: it is read only
		v.snap = nil
	}
}

// hold waits until everything that v names is spread and its log pack's seal
// hash is known.
func (s *Store) hold(ctx context.Context, v *view) error {
	ctx, cancel := context.WithTimeout(ctx, viewMost)
	defer cancel()
	s.kick()
	return s.until(ctx, func() (bool, error) {
		v.cut.Seal = s.ckpt.seal
		ok := v.cut.Seal != crypt.Hash{}
		var why error
		for _, p := range v.names {
			if p.phase < spread && !p.drop {
				ok, why = false, p.why
			}
		}
		return ok, why
	})
}

// until waits for what done says of the staged packs, which it is asked with
// s.mu held; the error is the cause where ctx ends before.
func (s *Store) until(ctx context.Context, done func() (bool, error)) error {
	for {
		if err := s.writable(); err != nil {
			return err
		}
		s.mu.Lock()
		eased := s.eased
		ok, why := done()
		s.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-eased:
		case <-ctx.Done():
			return fmt.Errorf("store: packs wait for nodes: %w: %w", errors.Join(ctx.Err(), why), cairn.ErrUnavailable)
		}
	}
}

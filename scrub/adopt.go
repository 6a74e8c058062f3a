package scrub

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairn-storage/cairn"
)

// settleStrangers has packs adopted that stand on nodes and that the index does
// not know. Nothing is ever removed for being unknown (A7).
func (s *Scrub) settleStrangers(ctx context.Context, v *view, all []place, resting func(place) bool, r *Report) {
	for i := 0; i < len(all) && ctx.Err() == nil; {
		id := all[i].pack
		var at []cairn.Location
		for ; i < len(all) && all[i].pack == id; i++ {
			if v.of(all[i].Node).is != gone {
				at = append(at, all[i].Location)
			}
		}
		if resting(place{pack: id}) {
			continue
		}
		if err := s.adopt(ctx, id, at, r); err != nil && ctx.Err() == nil {
			s.c.Log.Warn("a pack that the index does not know could not be taken up", "pack", id, "at", len(at), "err", err)
		}
	}
}

func (s *Scrub) adopt(ctx context.Context, id cairn.PackID, at []cairn.Location, r *Report) error {
	forget := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, l := range at {
			s.marks.drop(stranger, place{id, l})
		}
	}
	if len(at) == 0 || s.c.Adopt == nil {
		forget()
		return nil
	}
	switch _, err := s.c.Store.Pack(id); {
	case err == nil:
		forget() // it was on its way; what is not in its row is an extra file now
		return nil
	case !errors.Is(err, cairn.ErrNotExist):
		return err
	}
	s.toNoEnd(place{pack: id}) // unless it comes to one
	t, err := s.c.Nodes.Trailer(ctx, id, at)
	if errors.Is(err, cairn.ErrCorrupt) {
		forget() // a name that a node made up
		return nil
	}
	if err != nil {
		return err // those it lies on do not answer now
	}
	good := s.c.Nodes.Verify(ctx, t.Params, at)
	if len(good) < t.Coding.K {
		if !s.view().all {
			return nil // more of it may stand on nodes that were not listed yet
		}
		return fmt.Errorf("%d of the %d shards that are needed verify: %w", len(good), t.Coding.K, cairn.ErrUnavailable)
	}
	what, err := s.c.Adopt(ctx, id, good)
	if err != nil {
		return err
	}
	forget()
	if what == "" {
		return nil
	}
	r.Found += int64(len(good))
	s.m.adopted.Inc()
	s.c.Log.Info("pack that the index did not know was taken up", "pack", id, "shards", len(good), "as", what)
	return nil
}

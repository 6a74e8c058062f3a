package store

import (
	"context"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// retireMost is how many packs one group retires; a record has 34 bytes.
const retireMost = 500

// retirePacks logs that these packs, which are retiring, are retired, and
// returns those of which it did.
//
// The committer decides, when it stamps the record: all that came before is in
// the index then, since the group is its own, and nothing that comes later can
// name such a pack, since every write that refers to bytes of another looks
// where they lie when it is stamped itself. A write whose own packs are not yet
// named owns them; a reader pins what it may yet come to. With force neither
// readers nor older roots are waited for.
func (s *Store) retirePacks(ctx context.Context, ids []cairn.PackID, force bool) (done []cairn.PackID, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	if len(ids) > retireMost {
		return nil, fmt.Errorf("store: %d packs are too many for one group: %w", len(ids), cairn.ErrInvalid)
	}
	err = s.decideIn(ctx, scope{}, func(t *txn) error {
		done = done[:0]
		n := s.needed()
		n.purge = force
		asked := make(map[cairn.PackID]bool, len(ids))
		for _, id := range ids {
			asked[id] = true
		}
		held := s.pins.among(asked)
		for _, id := range ids {
			row, err := s.idx.Pack(id)
			if err != nil || row.State != index.Retiring || held[id] && !force {
				continue // dropped, or decided otherwise meanwhile
			}
			idle, err := s.idle(row, &n)
			if err != nil {
				return s.indexError("references", err)
			}
			if !idle {
				continue
			}
			if err := t.log(pack.Retired{Pack: id}); err != nil {
				return err
			}
			done = append(done, id)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range done {
		delete(s.marks, id)
	}
	return done, nil
}

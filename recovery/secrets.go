package recovery

import (
	"context"
	"fmt"
	"strings"

	"github.com/cairn-storage/cairn"
)

// SetSecrets exchanges the epochs, the files of keys and the owners, and brings
// the files to all nodes. nil: they stand on as many nodes as a root needs, so
// that packs of a new epoch may be written. After ErrUnavailable, which names
// the nodes without them, they are in force and the background goes on. The
// next root, which the caller asks for, names them.
func (k *Keeper) SetSecrets(ctx context.Context, s Secrets) error {
	if err := s.check(); err != nil {
		return err
	}
	k.mu.Lock()
	if newest := k.chain.newest; newest != nil {
		if _, ok := s.Epochs[newest.Epoch]; !ok {
			k.mu.Unlock()
			return fmt.Errorf("recovery: the newest root is sealed under epoch %d, which is to go: %w", newest.Epoch, cairn.ErrInvalid)
		}
	}
	k.secrets = s
	k.version++
	want := k.version + 1
	k.mu.Unlock()
	has := func(m *nodeMemory) bool { return m.keys >= want }
	return k.await(ctx, func() bool { return k.open && k.quorum(has) }, func() error {
		k.mu.Lock()
		defer k.mu.Unlock()
		members, _ := k.members()
		var without []string
		for id, n := range members {
			if m := k.nodes[id]; m == nil || !has(m) {
				without = append(without, n.Name)
			}
		}
		return fmt.Errorf("recovery: the files of keys stand on %d of %d nodes, not on %s: %w",
			len(members)-len(without), len(members), strings.Join(without, ", "), cairn.ErrUnavailable)
	})
}

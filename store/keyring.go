package store

import (
	"maps"
	"sync"

	"github.com/cairn-storage/cairn/crypt"
)

// keyring is the epoch keys of an open store.
type keyring struct {
	mu   sync.RWMutex
	keys map[uint32]crypt.EpochKey // guarded by mu
	now  uint32                    // seals new packs; guarded by mu
}

func (k *keyring) set(keys map[uint32]crypt.EpochKey, now uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys, k.now = maps.Clone(keys), now
}

// sealing is the epoch that new packs are sealed under, and its key.
func (k *keyring) sealing() (uint32, crypt.EpochKey) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.now, k.keys[k.now]
}

// key is the key of an epoch.
func (k *keyring) key(epoch uint32) (crypt.EpochKey, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	key, ok := k.keys[epoch]
	return key, ok
}

// SetEpoch begins an epoch: from the next stage on packs are sealed under key,
// those of earlier epochs stay readable. The next checkpoint, which is due even
// where nothing changed, has all rows, so that none of it is of an earlier epoch.
// The files of the key must stand on nodes before, since what is sealed under it
// could not be recovered.
func (s *Store) SetEpoch(number uint32, key crypt.EpochKey) {
	s.keys.mu.Lock()
	if s.keys.keys[number] = key; number > s.keys.now {
		s.keys.now = number
	}
	s.keys.mu.Unlock()
	s.renew()
}

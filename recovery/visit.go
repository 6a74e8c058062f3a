package recovery

import (
	"context"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// visit brings one node up to date: looks at its roots, and, once enough nodes
// showed no fork, puts the files of keys and then the newest root there.
func (k *Keeper) visit(ctx context.Context, n pack.Node, r backends.Remote) error {
	m := k.memory(n.ID)
	select {
	case m.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("waiting for another look at the node: %w: %w", ctx.Err(), cairn.ErrUnavailable)
	}
	defer func() { <-m.turn }()
	err := k.bring(ctx, n, r, m)
	k.mu.Lock()
	m.err = err
	k.mu.Unlock()
	return err
}

func (k *Keeper) bring(ctx context.Context, n pack.Node, r backends.Remote, m *nodeMemory) error {
	k.mu.Lock()
	m.name = n.Name
	moved := m.at.ID == n.ID && !sameAddress(m.at, n)
	m.at = n
	// Also before each root, which is rare: whoever took the store over since the
	// last look is noticed before anything more is written.
	due := m.again || m.listed.IsZero() || m.err != nil || moved || time.Since(m.listed) >= k.c.Check-k.c.Check/8 ||
		k.chain.newest != nil && m.has != k.chain.newest.hash
	m.again = false // an error has it listed again by itself
	k.mu.Unlock()
	if due {
		if err := k.inspect(ctx, n, r, m); err != nil {
			return err
		}
	}
	if err := k.forked(); err != nil {
		return err
	}
	if !k.opened() {
		return nil // this node was seen; nothing is written before enough were
	}
	if err := k.bringKeys(ctx, r, m, due); err != nil {
		return err
	}
	// A root may be written meanwhile; whoever writes it comes by here, too.
	newest := k.newest()
	if newest == nil {
		return nil
	}
	if err := k.bringRoot(ctx, r, m, newest); err != nil {
		return err
	}
	k.pruneNode(ctx, n, r, m)
	k.admit()
	return nil
}

// inspect lists the node's roots and judges what is not ours.
func (k *Keeper) inspect(ctx context.Context, n pack.Node, r backends.Remote, m *nodeMemory) error {
	s, err := k.shelfOf(ctx, r, m)
	if err != nil {
		return err
	}
	if s.cut && k.once("cut "+n.ID.String()) {
		k.c.Log.Warn("node shows more files among its roots than can be there; the rest is not looked at", "node", n.Name, "most", shelfMost)
	}
	own, foreign := k.sort(s)
	if err := k.judge(ctx, n, r, m, foreign); err != nil {
		return err
	}
	k.mu.Lock()
	m.shelf, m.has = own, crypt.Hash{} // it is read again
	m.listed = time.Now()
	if shows := highest(own); !s.cut && shows < m.confirmed {
		m.rolled = rolledBack(shows, m.confirmed)
		m.confirmed = shows
	}
	k.seen()
	k.mu.Unlock()
	return nil
}

// shelfOf lists the node's roots. That it shows less than it confirmed is believed
// only of a listing between two looks at its marker: below the mount point of a
// disk that is not mounted nothing is listed either, and a connection that came
// back by itself tells nobody of it.
func (k *Keeper) shelfOf(ctx context.Context, r backends.Remote, m *nodeMemory) (shelf, error) {
	s, err := listShelf(ctx, r)
	if err != nil {
		return s, err
	}
	k.mu.Lock()
	confirmed := m.confirmed
	k.mu.Unlock()
	if own, _ := k.sort(s); s.cut || highest(own) >= confirmed {
		return s, nil
	}
	if err := mounted(ctx, r); err != nil {
		return shelf{}, err
	}
	if s, err = listShelf(ctx, r); err != nil {
		return s, err
	}
	return s, mounted(ctx, r)
}

// highest is the largest sequence among names of roots, 0 without any.
func highest(names []string) (seq uint64) {
	for _, name := range names {
		n, _, _ := parseName(name)
		seq = max(seq, n)
	}
	return seq
}

func rolledBack(shows, confirmed uint64) string {
	if shows == 0 {
		return fmt.Sprintf("shows no root, confirmed %d: rolled back or wiped", confirmed)
	}
	return fmt.Sprintf("shows root %d, confirmed %d: rolled back", shows, confirmed)
}

// bringKeys puts the files of keys that the node lacks. Where they stood at the
// last look they are read again only when again is set.
func (k *Keeper) bringKeys(ctx context.Context, r backends.Remote, m *nodeMemory, again bool) error {
	k.mu.Lock()
	version, has := k.version+1, m.keys
	files := k.keysFiles()
	k.mu.Unlock()
	if has == version && !again {
		return nil
	}
	for _, f := range files {
		if err := ensure(ctx, r, f.Path, f.Data); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	m.keys = version
	k.announce()
	return nil
}

// bringRoot makes the newest root stand on the node, proven by reading it.
func (k *Keeper) bringRoot(ctx context.Context, r backends.Remote, m *nodeMemory, newest *rootFile) error {
	k.mu.Lock()
	has := m.has == newest.hash
	m.tried = max(m.tried, newest.Sequence)
	k.mu.Unlock()
	if has {
		return nil
	}
	if err := ensure(ctx, r, layout.RootPath(newest.Sequence, shortHash(newest.hash)), newest.data); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if newest.Sequence >= m.confirmed {
		m.confirmed, m.has = newest.Sequence, newest.hash
	}
	m.shelf = appendNew(m.shelf, newest.name())
	k.announce()
	return nil
}

func appendNew(names []string, name string) []string {
	for _, n := range names {
		if n == name {
			return names
		}
	}
	return append(names, name)
}

// newest is the newest root; nil before the first.
func (k *Keeper) newest() *rootFile {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.chain.newest
}

func (k *Keeper) opened() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.open
}

// announce wakes those that wait for a root or keys to stand; mu is held.
func (k *Keeper) announce() {
	close(k.news)
	k.news = make(chan struct{})
}

// delegationEpoch is the number under which our delegation stands among the
// files of keys, where a recovery without any root finds it. Epochs begin at 1.
const delegationEpoch = 0

// keysFiles is what stands in keys/ of every node; mu is held.
func (k *Keeper) keysFiles() []KeysFile {
	files := append([]KeysFile(nil), k.secrets.Keys...)
	if len(k.c.Delegation) > 0 {
		files = append(files, delegationFile(k.c.Delegation))
	}
	return files
}

func delegationFile(b []byte) KeysFile {
	return KeysFile{layout.KeyPath(delegationEpoch, crypt.KeysHash(b)), b}
}

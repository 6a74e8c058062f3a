package recovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// shelfMost bounds what is believed of one listing of roots. A node holds eight
// roots of each gateway that ever wrote; what it invents beyond costs nobody
// memory.
const shelfMost = 4096

// shelf is the roots that a node lists, newest first.
type shelf struct {
	names []shelfName
	cut   bool // there were more files than shelfMost
}

type shelfName struct {
	base string // without its directory
	seq  uint64
	hash [16]byte
	size int64
}

// listShelf lists a node's roots. Names that are no roots are left out.
func listShelf(ctx context.Context, r backends.Remote) (shelf, error) {
	var s shelf
	files := 0
	for e, err := range r.List(ctx, layout.RootsDir) {
		if errors.Is(err, backends.ErrForeign) {
			continue // it was the last pair, of a listing that is complete
		}
		if errors.Is(err, cairn.ErrCorrupt) {
			s.cut = true // more than any node has: what came until then is looked at
			break
		}
		if err != nil {
			return s, err
		}
		if files++; files > shelfMost {
			s.cut = true
			break
		}
		base := strings.TrimPrefix(e.Name, layout.RootsDir+"/")
		if seq, hash, ok := parseName(base); ok {
			s.names = append(s.names, shelfName{base, seq, hash, e.Size})
		}
	}
	slices.SortFunc(s.names, func(a, b shelfName) int { return cmp.Or(cmp.Compare(b.seq, a.seq), cmp.Compare(a.base, b.base)) })
	return s, nil
}

// sort tells our own roots from the others.
func (k *Keeper) sort(s shelf) (own []string, foreign []shelfName) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, n := range s.names {
		if k.chain.owns(n.seq, n.hash) {
			own = append(own, n.base)
		} else {
			foreign = append(foreign, n)
		}
	}
	return own, foreign
}

// readRoot reads the root called n and believes its signature, not its signer.
// ErrCorrupt when the file is no root, or another than its name says.
func readRoot(ctx context.Context, r backends.Remote, n shelfName, store cairn.StoreID) (*rootFile, error) {
	if n.size <= 0 || n.size > pack.MaxRoot {
		return nil, fmt.Errorf("%s has %d bytes: %w", n.base, n.size, cairn.ErrCorrupt)
	}
	data := make([]byte, n.size)
	if err := r.ReadAt(ctx, layout.RootsDir+"/"+n.base, data, 0); err != nil {
		return nil, err
	}
	return openFile(n.base, data, store)
}

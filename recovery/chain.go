package recovery

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// rootFile is one root as it stands in a file.
type rootFile struct {
	pack.Root
	hash crypt.Hash
	data []byte
}

// name is its name in a directory of roots.
func (f *rootFile) name() string {
	return strings.TrimPrefix(layout.RootPath(f.Sequence, shortHash(f.hash)), layout.RootsDir+"/")
}

func shortHash(h crypt.Hash) (s [16]byte) {
	copy(s[:], h[:])
	return s
}

// parseName reads the name of a root without its directory.
func parseName(base string) (seq uint64, hash [16]byte, ok bool) {
	seq, hash, err := layout.ParseRootPath(layout.RootsDir + "/" + base)
	return seq, hash, err == nil && seq <= maxSequence
}

// maxSequence bounds sequences, so that one root of a stolen key cannot leave
// no number for those after it.
const maxSequence = 1 << 62

// openFile believes data to be the root of store that its name says; what it
// says counts only once its signer is known. ErrCorrupt when it is not.
func openFile(base string, data []byte, store cairn.StoreID) (*rootFile, error) {
	seq, hash, ok := parseName(base)
	if !ok {
		return nil, fmt.Errorf("%q is not the name of a root: %w", base, cairn.ErrCorrupt)
	}
	f := &rootFile{hash: pack.RootHash(data), data: data}
	if shortHash(f.hash) != hash {
		return nil, fmt.Errorf("root %d: the bytes are not those its name says: %w", seq, cairn.ErrCorrupt)
	}
	var err error
	if f.Root, err = pack.ParseRoot(data); err != nil {
		return nil, err
	}
	if f.Sequence != seq || f.Store != store {
		return nil, fmt.Errorf("root %d of store %s stands as root %d of store %s: %w", f.Sequence, f.Store.Short(), seq, store.Short(), cairn.ErrCorrupt)
	}
	return f, nil
}

// chain is our own roots.
type chain struct {
	newest *rootFile     // nil before the first
	body   pack.RootBody // of newest; not to be changed
	here   []string      // names on this disk that are on the chain, oldest first
	kept   []kept        // of those, what each needs; never changed, only replaced
	top    uint64        // highest sequence that a root here has or was tried with
	// own is every root of the chain that is known, by the hash in its name,
	// with its sequence; 0 where only the hash is known.
	own map[[16]byte]uint64
	// named is the nodes of the newest body.
	named map[cairn.NodeID]named
}

// named is a node as roots name it.
type named struct {
	pack.Node
	since uint64 // first of the roots that name it just so
}

// owns reports whether the root called base is of our chain.
func (c *chain) owns(seq uint64, hash [16]byte) bool {
	known, ok := c.own[hash]
	if ok && known == 0 {
		return c.newest != nil && seq < c.newest.Sequence
	}
	return ok && known == seq
}

// set makes f, with body, the newest.
func (c *chain) set(f *rootFile, body pack.RootBody) {
	next := make(map[cairn.NodeID]named, len(body.Nodes))
	for _, n := range body.Nodes {
		since := f.Sequence
		if old, ok := c.named[n.ID]; ok && sameAddress(old.Node, n) {
			since = old.since
		}
		next[n.ID] = named{n, since}
	}
	c.newest, c.body, c.named = f, body, next
	c.own[shortHash(f.hash)] = f.Sequence
	c.here = append(c.here, f.name())
	c.kept = append(slices.Clip(c.kept), keptOf(f, body))
	c.top = max(c.top, f.Sequence)
}

// sameAddress reports whether a recovery would reach a and b in the same way.
func sameAddress(a, b pack.Node) bool {
	return a.Remote == b.Remote && a.HostKey == b.HostKey && string(a.Credential) == string(b.Credential) && maps.Equal(a.Option, b.Option)
}

// load reads the roots on this disk.
func (k *Keeper) load() (chain, error) {
	c := chain{own: make(map[[16]byte]uint64)}
	if err := k.loadHistory(c.own); err != nil {
		return c, err
	}
	names, err := localNames(k.c.FS, k.dir())
	if err != nil || len(names) == 0 {
		return c, err
	}
	newest, body, err := readNewest(k.c.FS, k.dir(), names[0], k.c.Store, k.secrets.Epochs)
	if err != nil {
		return c, err
	}
	if newest.Signer != k.c.Sign.Public() {
		return c, fmt.Errorf("recovery: root %d in %s was written by another gateway (key %s) than this identity: run `cairn recover` to take the store over: %w",
			newest.Sequence, k.dir(), keyName(newest.Signer), cairn.ErrPrecondition)
	}
	// From the newest back, each named by the one after it. What is here and
	// not on the chain is a root whose write failed: no node ever saw it.
	older := newest.Prev
	for _, name := range names[1:] {
		data, err := durable.ReadFile(k.c.FS, k.path(name), pack.MaxRoot)
		if err != nil && !errors.Is(err, cairn.ErrCorrupt) {
			return c, fmt.Errorf("recovery: %w", err)
		}
		f, err := openFile(name, data, k.c.Store)
		if err != nil {
			k.c.Log.Warn("a root on this disk is damaged", "root", name, "err", err)
			continue
		}
		if f.hash == older {
			c.own[shortHash(f.hash)] = f.Sequence
			c.here = append(c.here, name)
			c.kept = append(c.kept, k.keptOld(f))
			older = f.Prev
		}
	}
	slices.Reverse(c.here)
	slices.Reverse(c.kept)
	for _, h := range append(slices.Clone(body.Ancestors), newest.Prev) {
		if _, ok := c.own[shortHash(h)]; !ok && h != (crypt.Hash{}) {
			c.own[shortHash(h)] = 0
		}
	}
	c.set(newest, body)
	return c, nil
}

// localNames lists the names of roots in dir, newest first.
func localNames(fs durable.FS, dir string) ([]string, error) {
	all, err := fs.List(dir)
	if errors.Is(err, cairn.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("recovery: %w", err)
	}
	all = slices.DeleteFunc(all, func(base string) bool {
		_, _, ok := parseName(base)
		return !ok
	})
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(b, a) }) // sequences have leading zeros
	return all, nil
}

// readNewest reads the root called base in dir and opens its body.
func readNewest(fs durable.FS, dir, base string, store cairn.StoreID, epochs map[uint32]crypt.EpochKey) (*rootFile, pack.RootBody, error) {
	at := filepath.Join(dir, base)
	data, err := durable.ReadFile(fs, at, pack.MaxRoot)
	if err != nil && !errors.Is(err, cairn.ErrCorrupt) {
		return nil, pack.RootBody{}, fmt.Errorf("recovery: %w", err)
	}
	f, err := openFile(base, data, store)
	if err != nil {
		return nil, pack.RootBody{}, fmt.Errorf("recovery: %s: %w; every node has the same file in %s/: put it back from one of them", at, err, layout.RootsDir)
	}
	key, ok := epochs[f.Epoch]
	if !ok {
		return nil, pack.RootBody{}, fmt.Errorf("recovery: %s: no key for epoch %d: put back secrets/%s from any node: %w", at, f.Epoch, layout.KeysDir, cairn.ErrLost)
	}
	body, err := f.Open(key)
	if err != nil {
		return nil, pack.RootBody{}, fmt.Errorf("recovery: %s: %w", at, err)
	}
	return f, body, nil
}

// ReadLocal returns the newest root in dir, the directory of a store, and its
// body; false when there is none yet. One that is damaged, or of a store or
// epoch whose key is not in epochs, is an error: going on from an older one
// would be a fork.
func ReadLocal(fs durable.FS, dir string, store cairn.StoreID, epochs map[uint32]crypt.EpochKey) (pack.Root, pack.RootBody, bool, error) {
	at := filepath.Join(dir, layout.RootsDir)
	names, err := localNames(fs, at)
	if err != nil || len(names) == 0 {
		return pack.Root{}, pack.RootBody{}, false, err
	}
	f, body, err := readNewest(fs, at, names[0], store, epochs)
	if err != nil {
		return pack.Root{}, pack.RootBody{}, false, err
	}
	return f.Root, body, true, nil
}

// keyName is a public key as messages show it.
func keyName(k crypt.PublicKey) string { return fmt.Sprintf("%x", k[:8]) }

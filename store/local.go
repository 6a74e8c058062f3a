package store

import (
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/wire"
)

// localVersion is the version of the small files of the gateway's own directory.
const localVersion = 1

// writeLocal replaces a small file of the gateway's own, durably: magic, version,
// store, what fill writes, and the hash of it all.
func writeLocal(fs durable.FS, name, magic string, store cairn.StoreID, fill func(*wire.Writer)) error {
	w := wire.Writer{}
	w.Raw([]byte(magic))
	w.U16(localVersion)
	w.Raw(store[:])
	fill(&w)
	sum := crypt.Sum(w.B)
	w.Raw(sum[:])
	return durable.WriteFile(fs, name, w.B)
}

// readLocal has parse read what writeLocal's fill wrote. ErrNotExist where there is
// no such file, ErrCorrupt for one that is damaged, ErrInvalid for another store's.
func readLocal(fs durable.FS, name, magic string, store cairn.StoreID, parse func(*wire.Reader)) error {
	b, err := durable.ReadFile(fs, name, 4096)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	r := wire.NewReader(b)
	got := make([]byte, len(magic))
	r.Raw(got)
	if v := r.U16(); string(got) != magic || v != localVersion {
		r.Fail("not a %s file of version %d", magic, localVersion)
	}
	var of cairn.StoreID
	r.Raw(of[:])
	parse(r)
	n := len(b) - r.Len()
	var sum crypt.Hash
	r.Raw(sum[:])
	if err := r.Done(); err != nil || crypt.Sum(b[:n]) != sum {
		return fmt.Errorf("store: %s is damaged; the store must be recovered: %w", name, cairn.ErrCorrupt)
	}
	if of != store {
		return fmt.Errorf("store: %s belongs to store %s, not to %s: %w", name, of.Short(), store.Short(), cairn.ErrInvalid)
	}
	return nil
}

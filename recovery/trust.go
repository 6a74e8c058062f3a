package recovery

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/layout"
)

// vouched is whose signature counts.
type vouched struct {
	owner    crypt.PublicKey            // zero where none signs, or none is known
	gateways map[crypt.PublicKey]uint64 // with the number of their delegation
	number   uint64                     // the highest of them
	word     map[crypt.PublicKey]crypt.Delegation
}

func keysHash(b []byte) [16]byte { return crypt.KeysHash(b) }

// trust works out whose signature counts with what was fetched so far. It
// begins at the identity, the kit and the keys that a person gave, and at
// nothing else: a node can make up a store that is whole in itself.
func (f *finder) trust() {
	f.notes = nil
	v := vouched{gateways: make(map[crypt.PublicKey]uint64), word: make(map[crypt.PublicKey]crypt.Delegation)}
	if id := f.c.Identity; id != nil && id.Kind() == crypt.Owner {
		v.owner = id.Sign().Public()
	} else if f.c.Kit != nil {
		v.owner = f.c.Kit.Owner
	}
	ownerKnown := v.owner != crypt.PublicKey{}
	// heads may delegate to the next gateway. Where an owner's key is known a
	// gateway's own word for its successor counts only if a person named that
	// gateway: whoever stole its key could give it, too.
	heads := make(map[crypt.PublicKey]bool)
	anchor := func(key crypt.PublicKey, number uint64, head bool) {
		v.gateways[key] = max(v.gateways[key], number)
		heads[key] = heads[key] || head
	}
	said := f.saidOfThemselves()
	for _, key := range f.c.Trust {
		anchor(key, said[key], true)
	}
	if id := f.c.Identity; id != nil && id.Kind() == crypt.Gateway {
		key := id.Sign().Public()
		anchor(key, said[key], !ownerKnown)
	}
	if kit := f.c.Kit; kit != nil {
		for i, g := range kit.Gateways {
			anchor(g.Key, g.Number, !ownerKnown && i == len(kit.Gateways)-1)
		}
	}
	all := f.delegations()
	for grown := true; grown; {
		grown = false
		for _, d := range all {
			byOwner := ownerKnown && d.Owner == v.owner
			byHead := heads[d.Owner] && d.Number > v.gateways[d.Owner]
			if before, known := v.gateways[d.Gateway]; !byOwner && !byHead || known && before >= d.Number {
				continue
			}
			v.gateways[d.Gateway], v.word[d.Gateway], grown = d.Number, d, true
			heads[d.Gateway] = heads[d.Gateway] || byHead
		}
	}
	for _, n := range v.gateways {
		v.number = max(v.number, n)
	}
	f.vouched = v
	for _, d := range all {
		if _, known := v.gateways[d.Gateway]; !known {
			if _, by := v.gateways[d.Owner]; by {
				f.note("gateway %s was delegated to by gateway %s and by no owner, and is not believed; if that was a recovery of yours, give its kit, or --gateway %x",
					keyName(d.Gateway), keyName(d.Owner), d.Gateway[:])
			}
		}
	}
}

// saidOfThemselves is the number that gateways give as their own, by a root
// that they signed. It counts for gateways that a person named.
func (f *finder) saidOfThemselves() map[crypt.PublicKey]uint64 {
	said := make(map[crypt.PublicKey]uint64)
	for _, r := range f.roots {
		if d, err := crypt.ParseDelegation(r.Delegation); err == nil && d.Gateway == r.Signer && d.Verify(d.Owner, f.store) == nil {
			said[r.Signer] = max(said[r.Signer], d.Number)
		}
	}
	return said
}

// delegations is all that were fetched and are whole, whoever signed them.
func (f *finder) delegations() []crypt.Delegation {
	seen := make(map[string]crypt.Delegation)
	add := func(b []byte) {
		if d, err := crypt.ParseDelegation(b); err == nil && d.Verify(d.Owner, f.store) == nil {
			seen[string(b)] = d
		}
	}
	for path, file := range f.files {
		if epoch, _, err := layout.ParseKeyPath(path); err == nil && epoch == delegationEpoch {
			add(file.Data)
		}
	}
	for _, r := range f.roots {
		if d, err := crypt.ParseDelegation(r.Delegation); err == nil && d.Gateway == r.Signer {
			add(r.Delegation)
		}
	}
	return slices.SortedFunc(maps.Values(seen), func(a, b crypt.Delegation) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), slices.Compare(a.Gateway[:], b.Gateway[:]))
	})
}

// epochKey is a key that a file which counts gives for an epoch.
type epochKey struct {
	key    crypt.EpochKey
	file   KeysFile
	number uint64 // of the signer's delegation
}

// openKeys opens the files of keys that count, those of the newest gateway
// first.
func (f *finder) openKeys() {
	f.keys, f.denied, f.unvouched, f.unable = make(map[uint32][]epochKey), 0, 0, nil
	trust := func(s cairn.StoreID, k crypt.PublicKey) bool {
		_, ok := f.gateways[k]
		return ok && s == f.store
	}
	anybody := func(s cairn.StoreID, _ crypt.PublicKey) bool { return s == f.store }
	for _, path := range slices.Sorted(maps.Keys(f.files)) {
		epoch, _, err := layout.ParseKeyPath(path)
		if err != nil || epoch == delegationEpoch {
			continue
		}
		file := f.files[path]
		k, err := crypt.ParseKeys(file.Data, trust)
		if err != nil {
			if _, err := crypt.ParseKeys(file.Data, anybody); err == nil {
				f.unvouched++
			}
			continue
		}
		key, opens := f.opened[path]
		if !opens {
			if key, err = f.openFor(k); err != nil || k.Epoch != epoch {
				f.denied++
				if errors.Is(err, cairn.ErrUnavailable) {
					f.unable = err
				}
				continue
			}
			f.opened[path] = key // an identity may ask a person each time
		}
		f.keys[epoch] = append(f.keys[epoch], epochKey{key, file, f.gateways[k.Signer]})
	}
	for _, all := range f.keys {
		slices.SortStableFunc(all, func(a, b epochKey) int { return cmp.Compare(b.number, a.number) })
	}
}

func (f *finder) openFor(k crypt.Keys) (key crypt.EpochKey, err error) {
	if f.c.Identity != nil {
		if key, err = k.Open(*f.c.Identity); err == nil {
			return key, nil
		}
	}
	if len(f.c.Ages) > 0 {
		return k.OpenAge(f.c.Ages...)
	}
	return key, err
}

// note keeps what a person should know, once.
func (f *finder) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(f.notes, text) {
		f.notes = append(f.notes, text)
	}
}

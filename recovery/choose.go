package recovery

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// counting is the roots whose signer counts, best first: the highest
// delegation, then the highest sequence; of two alike the one on more nodes.
func (f *finder) counting() []*rootFile {
	shown := make(map[string]int)
	for _, a := range f.answers {
		for _, n := range a.shows {
			shown[n.base]++
		}
	}
	var all []*rootFile
	for _, r := range f.roots {
		if _, ok := f.gateways[r.Signer]; ok {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b *rootFile) int {
		return cmp.Or(cmp.Compare(f.gateways[b.Signer], f.gateways[a.Signer]), cmp.Compare(b.Sequence, a.Sequence),
			cmp.Compare(shown[b.name()], shown[a.name()]), bytes.Compare(a.hash[:], b.hash[:]))
	})
	return all
}

// choose takes the best root whose body opens, and the chain before it.
func (f *finder) choose() {
	f.best, f.body = nil, pack.RootBody{}
	all := f.counting()
	for _, r := range all {
		body, err := f.openBody(r)
		if err == nil {
			f.best, f.body = r, body
			break
		}
		f.note("root %d does not open and an older one is used: %v", r.Sequence, err)
	}
	f.chain = make(map[crypt.Hash]uint64)
	if f.best == nil {
		return
	}
	for _, h := range f.body.Ancestors {
		f.chain[h] = 0
	}
	byHash := make(map[crypt.Hash]*rootFile, len(all))
	for _, r := range all {
		byHash[r.hash] = r
	}
	for r := f.best; r != nil; r = byHash[r.Prev] {
		if _, been := f.chain[r.hash]; been && f.chain[r.hash] > 0 {
			break
		}
		f.chain[r.hash] = r.Sequence
		if _, ok := f.chain[r.Prev]; !ok && r.Prev != (crypt.Hash{}) {
			f.chain[r.Prev] = 0
		}
	}
	for h := range f.chain {
		if r := byHash[h]; r != nil {
			f.chain[h] = r.Sequence
		}
	}
}

// openBody opens r with whichever key that counts fits.
func (f *finder) openBody(r *rootFile) (body pack.RootBody, err error) {
	err = fmt.Errorf("no key for epoch %d opens: %w", r.Epoch, cairn.ErrLost)
	for _, k := range f.keys[r.Epoch] {
		if body, err = r.Open(k.key); err == nil {
			return body, nil
		}
	}
	return body, err
}

// found puts together what the search came to.
func (f *finder) found() Found {
	out := Found{Store: f.store, Owner: f.owner, Number: f.number, Epochs: make(map[uint32]crypt.EpochKey)}
	for _, r := range f.counting() {
		out.Top = max(out.Top, r.Sequence)
	}
	if f.best != nil {
		out.HasRoot, out.Root, out.RootBytes, out.RootHash, out.Body = true, f.best.Root, f.best.data, f.best.hash, f.body
		out.Nodes, out.Identity, out.Owners, out.Gateways = f.body.Nodes, f.body.Identity, f.body.Owners, f.body.Gateways
		if out.Owner == (crypt.PublicKey{}) {
			out.Owner, _ = ownerKey(f.body)
		}
	}
	f.foundKeys(&out)
	if kit := f.c.Kit; kit != nil {
		out.Top = max(out.Top, min(kit.Sequence, maxSequence))
		if !out.HasRoot {
			out.Nodes, out.Identity, out.Owners = kit.Nodes, kit.Identity, kit.Owners
		}
		if out.HasRoot && f.best.Sequence < kit.Sequence {
			f.note("the kit knows of root %d and the newest found is %d: the nodes that answer were rolled back, or those with newer ones do not answer", kit.Sequence, f.best.Sequence)
		}
	}
	if !out.HasRoot {
		out.Gateways = f.knownGateways()
	}
	if len(out.Nodes) == 0 {
		out.Nodes = f.answering()
	}
	f.foundAnswers(&out)
	out.Notes = f.notes
	return out
}

// answering are the nodes that were asked and are of the store, in order of id:
// all that is known where neither root nor kit names any.
func (f *finder) answering() (out []pack.Node) {
	for _, a := range f.answers {
		if a.err == nil && a.node.ID != (cairn.NodeID{}) {
			out = append(out, a.node)
		}
	}
	slices.SortFunc(out, func(a, b pack.Node) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return slices.CompactFunc(out, func(a, b pack.Node) bool { return a.ID == b.ID })
}

// foundKeys chooses one key for each epoch: from a file that the root names
// where there is one, else from the newest gateway that gives one.
func (f *finder) foundKeys(out *Found) {
	closed := make(map[uint32]bool)
	named := make(map[[16]byte]bool)
	for _, e := range f.body.Epochs {
		closed[e.Number] = e.Closed
		for _, h := range e.Keys {
			named[h] = true
		}
	}
	for _, epoch := range slices.Sorted(maps.Keys(f.keys)) {
		all := f.keys[epoch]
		use := all[0]
		if i := slices.IndexFunc(all, func(k epochKey) bool {
			_, hash, _ := layout.ParseKeyPath(k.file.Path) // only such are in here
			return named[hash]
		}); i >= 0 {
			use = all[i]
		}
		out.Epochs[epoch] = use.key
		for _, k := range all {
			if k.key == use.key {
				out.Keys = append(out.Keys, k.file)
			} else {
				f.note("%s gives another key for epoch %d than %s and is not used", k.file.Path, epoch, use.file.Path)
			}
		}
		// A rotation may be newer than the newest root, but only the gateway
		// that wrote last could begin one.
		_, inRoot := closed[epoch]
		if !closed[epoch] && (inRoot || use.number == f.number) {
			out.Epoch = max(out.Epoch, epoch)
		}
	}
}

// knownGateways is those that count, where no root lists them.
func (f *finder) knownGateways() []pack.RootGateway {
	var out []pack.RootGateway
	for key, number := range f.gateways {
		g := pack.RootGateway{Key: key, Number: number, Recipient: f.word[key].Recipient}
		if f.c.Kit != nil && g.Recipient == "" {
			for _, k := range f.c.Kit.Gateways {
				if k.Key == key {
					g.Recipient = k.Recipient
				}
			}
		}
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b pack.RootGateway) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), bytes.Compare(a.Key[:], b.Key[:]))
	})
	return out
}

// foundAnswers says of every node what it told, and of roots off the chain what
// they mean.
func (f *finder) foundAnswers(out *Found) {
	least := uint64(1) << 63 // the oldest sequence of which the chain is known
	for _, seq := range f.chain {
		if seq > 0 {
			least = min(least, seq)
		}
	}
	newest := uint64(0)
	if f.best != nil {
		newest = f.best.Sequence
	}
	forks := make(map[string][]string)
	for _, a := range f.answers {
		if (a.node.ID == cairn.NodeID{}) && slices.ContainsFunc(out.Nodes, func(n pack.Node) bool { return n.Remote == a.node.Remote }) {
			continue // it was asked again under its name
		}
		n := NodeAnswer{ID: a.node.ID, Name: a.node.Name, Err: a.err}
		for _, m := range out.Nodes {
			if m.ID == n.ID {
				n.Name = m.Name
			}
		}
		n.Name = cmpOr(n.Name, cmpOr(a.node.Remote, a.node.ID.String()))
		for _, s := range a.shows {
			r := f.roots[s.base]
			number, ok := f.gateways[r.Signer]
			if !ok {
				continue
			}
			if _, on := f.chain[r.hash]; on {
				n.Sequence = max(n.Sequence, r.Sequence)
				continue
			}
			if f.best == nil || r.Sequence < least {
				continue // older than what the chain tells
			}
			n.Off = append(n.Off, s.base)
			text := fmt.Sprintf("root %d (%s) is signed by key %s and not on the chain of root %d", r.Sequence, s.base, keyName(r.Signer), newest)
			if number < f.gateways[f.best.Signer] {
				text += ", which took over: a former gateway wrote on, and it is void"
			}
			forks[text] = append(forks[text], n.Name)
		}
		n.Behind = a.ok && n.Sequence < newest
		out.Answers = append(out.Answers, n)
	}
	slices.SortFunc(out.Answers, func(a, b NodeAnswer) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), bytes.Compare(a.ID[:], b.ID[:]))
	})
	for _, text := range slices.Sorted(maps.Keys(forks)) {
		slices.Sort(forks[text])
		out.Forks = append(out.Forks, text+" (on "+strings.Join(forks[text], ", ")+")")
	}
}

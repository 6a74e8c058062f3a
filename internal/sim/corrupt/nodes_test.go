package corrupt

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/layout"
)

// several harms up to m shards of one pack, which changes nothing, or more,
// which may be an error and is never wrong bytes.
func (b *nodeBench) several(t *testing.T, r *rand.Rand) (o outcome) {
	p := b.packs[r.IntN(len(b.packs))]
	n := 1 + r.IntN(p.Coding.M)
	o.class, o.result = "up to m shards", exact
	beyond := r.IntN(4) == 0
	if beyond {
		n = p.Coding.M + 1 + r.IntN(p.Coding.K)
		o.class = "more than m shards"
	}
	var what []string
	for _, i := range r.Perm(len(p.at))[:n] {
		_, c, where := b.harm(r, p, p.at[i])
		what = append(what, c.class+": "+where)
	}
	o.what = strings.Join(what, "; ")
	fl := b.newFleet(t)
	b.swap.now.Store(fl)
	w := b.in[p.ID]
	if w == nil || r.IntN(16) == 0 {
		w = b.w
	}
	got := readObjects(t.Context(), b.st, w)
	o.err = errors.Join(fl.Close(), got.wrong)
	if !beyond {
		o.err = errors.Join(o.err, got.say())
		return o
	}
	if len(got.stale) > 0 {
		o.err = errors.Join(o.err, got.say()) // the index knows better
	}
	if len(got.errs) > 0 {
		o.result = failed
	}
	return o
}

// marker harms the file that says whose directory this is: its node is offline
// until it is mended, and nothing is missing for it.
func (b *nodeBench) marker(t *testing.T, r *rand.Rand) (o outcome) {
	i := r.IntN(nodeN)
	data, _ := b.boxes[i].Bytes(layout.MarkerName)
	other, _ := b.boxes[(i+1)%nodeN].Bytes(layout.MarkerName)
	c := alter(r, data, span{"marker", 0, len(data)}, [][]byte{other, b.keys})
	b.set(i, layout.MarkerName, c.data)
	o.class, o.what, o.result = c.class, fmt.Sprintf("%s on n%d: %s", layout.MarkerName, i, c.how), noticed
	fl := b.newFleet(t)
	defer func() { o.err = errors.Join(o.err, fl.Close()) }()
	for _, p := range b.packs {
		for _, l := range fl.Verify(t.Context(), p.Params, p.at) {
			if l.Node == node(i).ID {
				o.err = fmt.Errorf("a node with a bad marker counts")
				return o
			}
		}
	}
	o.err = b.readWith(t)
	return o
}

// keyFile harms wrapped keys on a node. The name is the hash of the bytes, so
// whoever reads the file sees it; the keys must not parse as another's either.
func (b *nodeBench) keyFile(r *rand.Rand) (o outcome) {
	i := r.IntN(nodeN)
	other, _ := b.boxes[i].Bytes(layout.MarkerName)
	c := alter(r, b.keys, span{"keys", 0, len(b.keys)}, [][]byte{other})
	o.class, o.what, o.result = c.class, fmt.Sprintf("%s on n%d: %s", b.keysName(), i, c.how), noticed
	_, hash, err := layout.ParseKeyPath(b.keysName())
	if err != nil {
		o.err = err
		return o
	}
	if crypt.KeysHash(c.data) == hash {
		o.err = errors.New("other bytes have the hash of the name")
	}
	k, err := crypt.ParseKeys(c.data, crypt.TrustKeys(b.id, b.gate.Sign().Public()))
	if err == nil {
		o.err = errors.Join(o.err, fmt.Errorf("altered keys of epoch %d parse and are signed", k.Epoch))
	} else if !known(err) {
		o.err = errors.Join(o.err, fmt.Errorf("an error of no class: %w", err))
	}
	return o
}

package fleet

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// Standing is a shard and where it was recorded to stand.
type Standing struct {
	pack.Params
	At cairn.Location
}

// Remark looks at the marker of node m.Node and writes m there where what stands
// in its place is a damaged marker of that very node. A marker that is missing is
// never written: the disk may be unmounted, and only a person has one marked. One
// that is there, and is no marker or differs by one character from this node's,
// is believed to be damaged only when the directory is proven to be this node's
// by the shards that were put there, whose names nobody else knows: of those that
// shards returns, at most ProvenBy, more than half must verify. shards is called
// only where they are needed.
//
// It reports whether the marker was written; it then reads back as it should. The
// error, of class ErrUnavailable, says why the marker that the node shows is not
// as it should be; there is none where the node does not answer.
func (f *Fleet) Remark(ctx context.Context, m layout.Marker, shards func() ([]Standing, error)) (bool, error) {
	n := f.node(m.Node)
	if n == nil || n.gone() {
		return false, nil
	}
	if f.c.Store != m.Store {
		return false, fmt.Errorf("fleet: a marker of store %s: %w", m.Store.Short(), cairn.ErrInvalid)
	}
	shown := n.present(ctx)
	if shown == nil || !n.isUnmounted() {
		return false, nil // it is as it should, or nobody knows
	}
	n.link.mu.Lock()
	r := n.link.remote
	n.link.mu.Unlock()
	if r == nil {
		return false, shown
	}
	ctx = backends.Afresh(ctx)
	if damaged, err := damagedMarker(ctx, r, m); err != nil || !damaged {
		return false, shown // also where it is missing
	}
	all, err := shards()
	if err == nil {
		_, err = f.Proven(ctx, r, all)
	}
	if err != nil {
		return false, fmt.Errorf("node %s: its %s is damaged and is not written again, since the shards there do not prove that it is this node: %w", n.Name, layout.MarkerName, err)
	}
	b, err := m.Encode()
	if err != nil {
		return false, err
	}
	if w, ok := backends.As[backends.Replacer](r); ok {
		err = w.Replace(ctx, layout.MarkerName, b)
	} else {
		err = r.Put(ctx, layout.MarkerName, b)
	}
	// A call that failed may have worked all the same: the marker tells.
	if shown := n.checkMarker(ctx, r); shown != nil {
		return false, n.fault(backends.OpReplace, layout.MarkerName, errors.Join(err, shown))
	}
	f.c.Log.Warn("the node's marker was damaged and is written again", "node", n.Name)
	n.retry()
	return true, nil
}

// Retry has the node tried at once where it did not answer, or showed no marker.
func (f *Fleet) Retry(id cairn.NodeID) {
	if n := f.node(id); n != nil {
		n.retry()
	}
}

func (n *node) retry() {
	n.link.mu.Lock()
	if !n.link.openTill.IsZero() {
		n.link.openTill = time.Now() // a trial may begin; its outcome closes the breaker
	}
	n.link.mu.Unlock()
	n.f.change()
	n.f.poke()
}

// ProvenBy is how many shards are looked at for whose directory it is.
const ProvenBy = 8

// Proven looks on r for shards, the first ProvenBy at most, and returns how many
// verify. It is nil when these are more than half: then r is where they were put,
// since nobody else knows their names.
func (f *Fleet) Proven(ctx context.Context, r backends.Remote, shards []Standing) (good int, err error) {
	all := shards[:min(len(shards), ProvenBy)]
	var causes []error
	for _, s := range all {
		b := make([]byte, s.TailSize())
		err := r.ReadAt(ctx, layout.Path(s.At.Name(s.ID)), b, s.TailOffset())
		if err == nil {
			_, err = pack.OpenTail(b, s.Params, s.At.Index, f.c.Trust)
		}
		if err == nil {
			good++
			continue
		}
		causes = join(causes, err)
	}
	if 2*good > len(all) {
		return good, nil
	}
	return good, &failure{what: fmt.Sprintf("%d of %d recorded shards verify", good, len(all)), class: cairn.ErrUnavailable, ended: ctx.Err(), causes: causes}
}

// damagedMarker reports whether the marker of r is there and is what damage makes
// of m: no marker at all, or one with another character in an id. One of a newer
// version is not.
func damagedMarker(ctx context.Context, r backends.Remote, m layout.Marker) (bool, error) {
	size, err := r.Stat(ctx, layout.MarkerName)
	if err != nil {
		return false, err
	}
	if size < 0 || size > maxMarker {
		return true, nil
	}
	b := make([]byte, size)
	if err := r.ReadAt(ctx, layout.MarkerName, b, 0); err != nil {
		return false, err
	}
	shown, err := layout.ParseMarker(b)
	if err != nil {
		return !layout.NewerMarker(b), nil
	}
	other := 0
	is, want := hex.EncodeToString(append(shown.Store[:], shown.Node[:]...)), hex.EncodeToString(append(m.Store[:], m.Node[:]...))
	for i := range want {
		other += bit(is[i] != want[i])
	}
	return other == 1, nil
}

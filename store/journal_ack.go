package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// scope says whose ack a write takes: the bucket's, the store's, or, where it is
// zero, that of a write which never waits for nodes.
type scope struct {
	bucket string
	store  bool
	// always takes ack = "spread" whatever is set, anyway tries it although it
	// is known that no journal stands now.
	always, anyway bool
}

// wantsSpread tells whether o is answered only when it stands on nodes.
func (j *journaler) wantsSpread(o *op) bool {
	switch {
	case !j.on.Load() || o.scope == scope{}:
		return false
	case o.scope.always:
		return true
	case o.scope.bucket != "":
		if b, err := j.s.idx.BucketByName(o.scope.bucket); err == nil && b.Setting[settingAck] != "" {
			return b.Setting[settingAck] == AckSpread
		}
	}
	return j.s.c.Ack == AckSpread
}

// judge lets o decide and add to t, unless it must stand on nodes and none will
// take it: then nothing is stored.
func (j *journaler) judge(t *txn, o *op) {
	if o.spread = j.wantsSpread(o); !o.spread {
		o.err = o.build(t)
		return
	}
	if !o.scope.anyway {
		if t.refused == nil {
			err := j.able(t.now)
			t.refused = &err
		}
		if *t.refused != nil {
			o.spread, o.err = false, *t.refused
			return
		}
	}
	from := len(t.changes)
	o.from = t.c.off
	o.err = o.build(t)
	o.changes = t.changes[from:len(t.changes):len(t.changes)]
}

// able returns why no journal would stand now, as far as is known.
func (j *journaler) able(now time.Time) error {
	err := j.failing(now)
	if err == nil {
		_, err = j.coding()
	}
	if err != nil {
		return fmt.Errorf("store: nothing is stored, since ack = %q wants it on the nodes, too: %w: %w", AckSpread, err, cairn.ErrUnavailable)
	}
	return nil
}

// failing returns why the last journal failed, until it is time for another or
// the nodes change.
func (j *journaler) failing(now time.Time) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.down == nil || !now.Before(j.again) {
		return nil
	}
	select {
	case <-j.changed:
		return nil
	default:
		return j.down
	}
}

// coding is that of a journal now, 1+m with the m of the present coding.
func (j *journaler) coding() (cairn.Coding, error) {
	coding, err := j.s.c.Nodes.Coding(j.s.Coding())
	if err != nil {
		return cairn.Coding{}, err
	}
	ns, err := j.s.idx.Nodes()
	if err != nil {
		return cairn.Coding{}, err
	}
	operators := make(map[string]bool)
	for _, n := range ns {
		if n.State == "" || n.State == "ok" {
			operators[n.Operator] = true
		}
	}
	switch {
	case len(operators) < 2:
		return cairn.Coding{}, fmt.Errorf("ack = %q needs nodes of at least 2 operators, and %d is in service; add a node of another: %w", AckSpread, len(operators), cairn.ErrUnavailable)
	case coding.M < 1:
		return cairn.Coding{}, fmt.Errorf("ack = %q needs a coding that bears the loss of a node, and packs are coded %v now; add a node or set another coding: %w", AckSpread, coding, cairn.ErrUnavailable)
	}
	return cairn.Coding{K: 1, M: coding.M}, nil
}

// SetBucketAck says when writes into a bucket are answered: AckStaged, AckSpread,
// or "" for as the store does. AckSpread is ErrPrecondition, with the reason,
// where the nodes cannot do it, and returns once the setting itself stands.
func (s *Store) SetBucketAck(ctx context.Context, name, ack string) error {
	switch ack {
	case "", AckStaged:
	case AckSpread:
		if _, err := s.jour.coding(); err != nil {
			return fmt.Errorf("store: bucket %q: %v: %w", name, err, cairn.ErrPrecondition)
		}
		s.jour.begin()
	default:
		return fmt.Errorf("store: bucket %q: ack = %q; it is %q or %q, or empty for the store's: %w", name, ack, AckStaged, AckSpread, cairn.ErrInvalid)
	}
	in := scope{} // ending it must work where no journal does
	if ack == AckSpread {
		in = scope{always: true}
	}
	err := s.decideIn(ctx, in, func(t *txn) error {
		b, err := t.bucket(name)
		if err != nil {
			return fmt.Errorf("bucket %q: %w", name, err)
		}
		setIn(&b, settingAck, ack)
		return t.log(b)
	})
	if ack == AckSpread && err == nil {
		s.jour.begin() // what was written before the setting counted is not in journals
	}
	return err
}

// begin notes that from now on writes may want journals. What is staged has
// none, and answers that rest on it wait until it stands.
func (j *journaler) begin() {
	j.on.Store(true)
	j.s.mu.Lock()
	var logs []cairn.PackID
	for id, p := range j.s.packs {
		if p.file.Kind == pack.Log && p.phase < spread {
			logs = append(logs, id)
		}
	}
	j.s.mu.Unlock()
	j.mu.Lock()
	for _, id := range logs {
		j.doubt[id] = true
	}
	j.mu.Unlock()
	for _, id := range logs {
		if j.s.stands(id) {
			j.stood(id)
		}
	}
}

// maxUnsure bounds how many versions are remembered whose writers were told
// ErrUnavailable. One forgotten is refused as S3 does: 412 for a condition that
// its own first try has made untrue.
const maxUnsure = 10_000

// doubted remembers that whoever wrote a version does not know of it.
func (j *journaler) doubted(o objectID, stamp cairn.Stamp) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for old := range j.unsure {
		if len(j.unsure) < maxUnsure {
			break
		}
		delete(j.unsure, old)
	}
	j.unsure[o] = stamp
}

// claim is a version that a write found there and takes for its own.
type claim struct {
	objectID
	stamp cairn.Stamp
}

// claim returns the current version of an object where refusal says that a
// condition fails because of it, its writer was told ErrUnavailable, and rec is
// the same write again: its ETag, size and all that clients see of it. It is
// given to one only, so of two who ask for one name with one content one is
// refused, as ever.
func (t *txn) claim(o *op, rec pack.Put, refusal error) (index.Version, bool) {
	if !o.spread || !errors.Is(refusal, cairn.ErrPrecondition) {
		return index.Version{}, false
	}
	v, ok, err := t.object(rec.Bucket, rec.Key)
	if err != nil || !ok || v.Put.ETag != rec.ETag || v.Put.Size != rec.Size || !maps.Equal(v.Put.Header, rec.Header) ||
		!maps.Equal(v.Put.Meta, rec.Meta) || !slices.Equal(v.Put.Checksum, rec.Checksum) {
		return index.Version{}, false
	}
	id := objectID{rec.Bucket, rec.Key}
	j := t.c.s.jour
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.unsure[id] != v.Stamp {
		return index.Version{}, false
	}
	delete(j.unsure, id)
	o.claimed = &claim{id, v.Stamp}
	return v, true
}

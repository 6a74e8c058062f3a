package store

import (
	"errors"
	"sync"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
)

// heldUp lets write be called in goroutines of their own while a sync of the
// group before is under way, so that all of them are decided in the group after
// it, and returns their errors.
func heldUp(t *testing.T, r *rig, writes ...func() error) []error {
	t.Helper()
	hold, first := make(chan struct{}), true
	r.watch(onPackSync(func(durable.Step) error { // by the committer alone: nothing large is put
		if first {
			first = false
			<-hold
		}
		return nil
	}))
	var wg sync.WaitGroup
	wg.Go(func() { must(t, r.put("before", nil)) })
	r.pass(0)
	before := groups(t, r)
	errs := make([]error, len(writes))
	for i, write := range writes {
		wg.Go(func() { errs[i] = write() })
		r.pass(0) // they queue in this order
	}
	close(hold)
	wg.Wait()
	if n := groups(t, r) - before; n != 2 {
		t.Fatalf("%d groups, want the one that was held up and one for all", n)
	}
	return errs
}

func groups(t *testing.T, r *rig) uint64 {
	t.Helper()
	s, err := r.Status(t.Context())
	must(t, err)
	return s.Groups
}

// TestConditionsSeeTheirOwnGroup: conditions are decided against what the same
// group changed before, which the index does not know yet.
func TestConditionsSeeTheirOwnGroup(t *testing.T) {
	match := func(key string, data []byte, tag string) Put {
		p := putOf(key, data)
		p.If.Match = []string{tag}
		return p
	}
	a, b, c := content(1, 500), content(2, 600), content(3, 700)
	for _, x := range []struct {
		what   string
		there  []byte // nil for no object
		writes []func(*rig) error
		class  []error
		want   []byte
	}{
		{"two that want none", nil, []func(*rig) error{
			func(r *rig) error { _, err := r.Put(r.tb.Context(), once("x", a)); return err },
			func(r *rig) error { _, err := r.Put(r.tb.Context(), once("x", b)); return err },
		}, []error{nil, cairn.ErrPrecondition}, a},
		{"two that want the same version", c, []func(*rig) error{
			func(r *rig) error { _, err := r.Put(r.tb.Context(), match("x", a, etag(c))); return err },
			func(r *rig) error { _, err := r.Put(r.tb.Context(), match("x", b, etag(c))); return err },
		}, []error{nil, cairn.ErrPrecondition}, a},
		{"one that wants what the other made", c, []func(*rig) error{
			func(r *rig) error { return r.put("x", a) },
			func(r *rig) error { _, err := r.Put(r.tb.Context(), match("x", b, etag(a))); return err },
		}, []error{nil, nil}, b},
		{"one that wants none after a delete", c, []func(*rig) error{
			func(r *rig) error { return r.Delete(r.tb.Context(), keyOf("x"), Condition{}) },
			func(r *rig) error { _, err := r.Put(r.tb.Context(), once("x", b)); return err },
		}, []error{nil, nil}, b},
		{"a delete of a version that is replaced", c, []func(*rig) error{
			func(r *rig) error { return r.put("x", a) },
			func(r *rig) error {
				return r.Delete(r.tb.Context(), keyOf("x"), Condition{Match: []string{etag(c)}})
			},
		}, []error{nil, cairn.ErrPrecondition}, a},
	} {
		t.Run(x.what, func(t *testing.T) {
			simulated(t, 3, coded("1+1"), func(t *testing.T, r *rig) {
				if x.there != nil {
					must(t, r.put("x", x.there))
				}
				var writes []func() error
				for _, w := range x.writes {
					writes = append(writes, func() error { return w(r) })
				}
				for i, err := range heldUp(t, r, writes...) {
					if !errors.Is(err, x.class[i]) {
						t.Errorf("write %d: %v, want %v", i+1, err, x.class[i])
					}
				}
				r.want("x", x.want)
				r.crash(0, 1)
				r.open()
				r.want("x", x.want)
			})
		})
	}
}

package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
)

// together runs all of f at a time and returns their answers.
func together(f ...func() error) []error {
	answers := make([]error, len(f))
	var wg sync.WaitGroup
	for i, f := range f {
		wg.Go(func() { answers[i] = f() })
	}
	wg.Wait()
	return answers
}

// Completions of one upload that come together all succeed and make one
// version.
func TestCompletionsThatComeTogetherMakeOneVersion(t *testing.T) {
	simulated(t, 1, coded("1+0"), func(t *testing.T, r *rig) {
		for round := range 20 {
			key := fmt.Sprint("x", round)
			id := r.begin(key)
			must(t, r.part(key, id, 1, content(1, 100)))
			stamps := make([]cairn.Stamp, 8)
			var calls []func() error
			for i := range stamps {
				calls = append(calls, func() error {
					c := completeOf(key, id, content(1, 100))
					c.If.NoneMatch = []string{"*"}
					o, err := r.CompleteUpload(t.Context(), c)
					stamps[i] = o.Stamp
					return err
				})
			}
			for i, err := range together(calls...) {
				if err != nil || stamps[i] != stamps[0] {
					t.Errorf("completion %d made %v, %v; the first made %v", i, stamps[i], err, stamps[0])
				}
			}
			r.want(key, content(1, 100))
		}
	})
}

// A completion and an abort that come together: one of them wins, and the other
// is told so.
func TestACompletionAndAnAbortTogether(t *testing.T) {
	won := make(map[bool]int)
	simulated(t, 1, coded("1+0"), func(t *testing.T, r *rig) {
		for round := range 40 {
			key := fmt.Sprint("x", round)
			id := r.begin(key)
			must(t, r.part(key, id, 1, content(1, 100)))
			abort := func() error { return r.AbortUpload(t.Context(), keyOf(key), id) }
			complete := func() error { _, err := r.complete(key, id, content(1, 100)); return err }
			var a, c error
			if round%2 == 0 {
				answers := together(abort, complete)
				a, c = answers[0], answers[1]
			} else {
				answers := together(complete, abort)
				c, a = answers[0], answers[1]
			}
			if (a == nil) == (c == nil) || a != nil && !errors.Is(a, ErrNoUpload) || c != nil && !errors.Is(c, ErrNoUpload) {
				t.Fatalf("abort: %v, complete: %v", a, c)
			}
			won[c == nil]++
			if c == nil {
				r.want(key, content(1, 100))
			} else {
				r.wantErr(key, cairn.ErrNotExist)
			}
			r.wantNoUpload(key, id)
		}
	})
	t.Logf("the completion won %d times, the abort %d", won[true], won[false])
}

// Parts that come while their upload is completed are in the object, and the
// completion knows of them, or they are told that there is no upload any more.
func TestACompletionAndPartsTogether(t *testing.T) {
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		for round := range 20 {
			key := fmt.Sprint("x", round)
			id := r.begin(key)
			was, is := content(1, 100), content(2, 200)
			if round%3 == 0 {
				is = content(2, tinyPack+tinySmall+5)
			}
			must(t, r.part(key, id, 1, was))
			var took []byte
			c := completeOf(key, id, was)
			c.Decide = func(have []Part) (Digest, error) {
				took = map[string][]byte{etag(was): was, etag(is): is}[have[0].ETag]
				return Digest{}, nil
			}
			answers := together(
				func() error { return r.part(key, id, 1, is) },
				func() error { _, err := r.CompleteUpload(t.Context(), c); return err })
			must(t, answers[1])
			if (answers[0] == nil) != bytes.Equal(took, is) || answers[0] != nil && !errors.Is(answers[0], ErrNoUpload) {
				t.Fatalf("the part was answered %v, the object has %d bytes", answers[0], len(took))
			}
			r.want(key, took)
		}
		r.nothingOrphaned(t)
	})
}

// nothingOrphaned fails where a pack counts as spread that nothing refers to
// and that no record ever named.
func (r *rig) nothingOrphaned(t *testing.T) {
	t.Helper()
	must(t, r.Flush(t.Context()))
	r.pass(soon)
	named := make(map[cairn.PackID]bool)
	for _, s := range r.survey() {
		for _, rec := range s.Records {
			parts, _ := whereOf(rec.Body)
			for _, p := range parts {
				for _, e := range p.Extents {
					named[e.Pack] = true
				}
			}
		}
	}
	for row, err := range r.idx.Packs(cairn.PackID{}) {
		must(t, err)
		if is, err := r.idx.Referenced(row.Params.ID); err != nil || row.Kind.String() == "data" && !is && !named[row.Params.ID] && row.State.String() == "spread" {
			t.Errorf("pack %v is %v and nothing knows of it, %v", row.Params.ID, row.State, err)
		}
	}
}

// An upload that ends while a part's body comes: the part is told, and its packs
// are given up.
func TestAnUploadThatEndsUnderAPart(t *testing.T) {
	for what, end := range map[string]func(*rig, string) error{
		"aborted":   func(r *rig, id string) error { return r.AbortUpload(r.tb.Context(), keyOf("x"), id) },
		"completed": func(r *rig, id string) error { _, err := r.complete("x", id, content(1, 9)); return err },
		"bucket gone": func(r *rig, id string) error {
			return errors.Join(r.DeleteBucket(r.tb.Context(), "bbb"), r.CreateBucket(r.tb.Context(), "bbb"))
		},
	} {
		t.Run(what, func(t *testing.T) {
			simulated(t, 3, settled, func(t *testing.T, r *rig) {
				id := r.begin("x")
				must(t, r.part("x", id, 1, content(1, 9)))
				body, w := io.Pipe()
				done := make(chan error, 1)
				go func() {
					_, err := r.PutPart(t.Context(), PutPart{Key: keyOf("x"), Upload: id, Number: 2, Body: body, Size: -1})
					done <- err
				}()
				_, err := w.Write(content(2, 2*tinyPack+10))
				must(t, err)
				must(t, end(r, id))
				must(t, w.Close())
				if err := <-done; !errors.Is(err, ErrNoUpload) {
					t.Errorf("the part was answered %v", err)
				}
				if what != "completed" {
					r.nothingLeft(t, what)
				}
				r.reopen()
				r.wantNoUpload("x", id)
				r.nothingOrphaned(t)
			})
		})
	}
}

// A part that is replaced by one with a longer list of extents, between the
// moment a completion asks for room and the moment it is decided, is in the
// object all the same.
func TestACompletionThatOutgrowsItsRoom(t *testing.T) {
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		const n = pack2KiB
		parts := make([][]byte, n)
		id := r.begin("x")
		for i := range parts {
			parts[i] = content(uint64(i), 10)
			must(t, r.part("x", id, i+1, parts[i]))
		}
		hold, held := make(chan struct{}), make(chan struct{}, 1)
		var once sync.Once
		r.watch(onPackSync(func(s durable.Step) error {
			if stageOf(r, s) { // the group of the part
				once.Do(func() { held <- struct{}{}; <-hold })
			}
			return nil
		}))
		parts[0] = content(99, 2*tinyPack+10)
		part := make(chan error, 1)
		go func() { part <- r.part("x", id, 1, parts[0]) }()
		<-held
		c := completeOf("x", id, parts...)
		room, _, err := r.completeRoom(mustID(t, id), c.Numbers)
		must(t, err)
		if room != 0 {
			t.Fatal("the list has room from the start, this test sees nothing")
		}
		done := make(chan error, 1)
		go func() { _, err := r.CompleteUpload(t.Context(), c); done <- err }()
		r.pass(0)
		close(hold)
		must(t, <-part)
		must(t, <-done)
		r.want("x", slices.Concat(parts...))
	})
}

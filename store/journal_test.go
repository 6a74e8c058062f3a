package store

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// spreading is a tune that fixes the coding and answers only what stands.
func spreading(coding string) func(*Config) {
	return func(c *Config) { c.Coding, c.Ack = coding, AckStaged }
}

// spreadRig is a store whose bucket answers only what stands on nodes.
func spreadRig(t *testing.T, n int, coding string, f func(*testing.T, *rig)) {
	t.Helper()
	simulated(t, n, spreading(coding), func(t *testing.T, r *rig) {
		must(t, r.SetBucketAck(t.Context(), "bbb", AckSpread))
		f(t, r)
	})
}

// TestManyWritersShareJournals: with one writer a PUT costs the 1+m puts of one
// journal and their proof by reading back; with 50 one journal serves many. What
// any of them was told is there.
func TestManyWritersShareJournals(t *testing.T) {
	for _, writers := range []int{1, 50} {
		spreadRig(t, 5, "2+2", func(t *testing.T, r *rig) {
			var mu sync.Mutex
			ops := make(map[string]int)
			r.fates(func(op, _ string, _ int) backendtest.Fate {
				mu.Lock()
				defer mu.Unlock()
				ops[op]++
				return backendtest.Works
			})
			const each = 6
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for i := range each {
						if err := r.put(fmt.Sprint(w, "-", i), content(uint64(w), 200)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			puts := float64(ops[backends.OpPut]) / float64(writers*each)
			all := 0.0
			for _, n := range ops {
				all += float64(n) / float64(writers*each)
			}
			t.Logf("%d writers: %.2f puts and %.2f requests for each PUT: %v", writers, puts, all, ops)
			if writers == 1 && (puts != 3 || all > 12) || writers == 50 && puts > 1 {
				t.Errorf("%d writers: %.2f puts, %.2f requests for each PUT", writers, puts, all)
			}
			again := r.burnt(t, r.held(), 1, 2)
			defer again.shut()
			for w := range writers {
				for i := range each {
					again.want(fmt.Sprint(w, "-", i), content(uint64(w), 200))
				}
			}
		})
	}
}

// TestStagedWritesAskNoNode: where nobody asked for more, a PUT is answered
// without a request, also beside a bucket that wants it spread.
func TestStagedWritesAskNoNode(t *testing.T) {
	simulated(t, 5, coded("2+2"), func(t *testing.T, r *rig) {
		must(t, r.CreateBucket(t.Context(), "other"))
		must(t, r.SetBucketAck(t.Context(), "other", AckSpread))
		r.fates(func(op, name string, _ int) backendtest.Fate {
			if op == backends.OpPut {
				t.Errorf("%s %s", op, name)
			}
			return backendtest.Works
		})
		must(t, r.put("x", content(1, 100)))
		must(t, r.Delete(t.Context(), keyOf("x"), Condition{}))
		st, err := r.Status(t.Context())
		must(t, err)
		if st.Journals != 1 { // of the setting
			t.Errorf("%d journals", st.Journals)
		}
		r.fates(nil)
	})
}

// TestAckIsRefusedWhereNodesAreTooFew, as a setting and for each write later.
func TestAckIsRefusedWhereNodesAreTooFew(t *testing.T) {
	for _, c := range []struct {
		name  string
		nodes int
		tune  func(*rig)
		word  string
	}{
		{"one node", 1, func(*rig) {}, "2 operators"},
		{"two nodes of one operator", 2, func(r *rig) {
			n := r.nodes[1].Node
			n.Operator = r.nodes[0].Operator
			must(r.tb, r.SetNode(r.tb.Context(), n))
		}, "2 operators"},
		{"no parity", 3, func(r *rig) { must(r.tb, r.SetCoding(r.tb.Context(), "2+0")) }, "2+0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulated(t, c.nodes, nil, func(t *testing.T, r *rig) {
				c.tune(r)
				err := r.SetBucketAck(t.Context(), "bbb", AckSpread)
				if !errors.Is(err, cairn.ErrPrecondition) || !strings.Contains(err.Error(), c.word) {
					t.Errorf("got %v", err)
				}
				b, err := r.Bucket(t.Context(), "bbb")
				must(t, err)
				if b.Ack != "" {
					t.Errorf("ack is %q", b.Ack)
				}
				must(t, r.put("x", content(1, 10))) // as before
			})
		})
	}
	spreadRig(t, 3, "auto", func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 10)))
		must(t, r.RemoveNode(t.Context(), r.nodes[1].ID))
		must(t, r.RemoveNode(t.Context(), r.nodes[2].ID))
		err := r.put("x", content(2, 10))
		if !errors.Is(err, cairn.ErrUnavailable) || !strings.Contains(err.Error(), "2 operators") {
			t.Errorf("got %v", err)
		}
		r.want("x", content(1, 10)) // and nothing was stored
		must(t, r.SetBucketAck(t.Context(), "bbb", ""))
		must(t, r.put("x", content(3, 10)))
	})
	simulated(t, 3, nil, func(t *testing.T, r *rig) {
		if err := r.SetBucketAck(t.Context(), "bbb", "often"); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("got %v", err)
		}
		if err := r.SetBucketAck(t.Context(), "none", AckSpread); !errors.Is(err, ErrNoBucket) {
			t.Errorf("got %v", err)
		}
	})
}

// TestTheStoresAckIsThatOfItsBuckets unless they have their own.
func TestTheStoresAckIsThatOfItsBuckets(t *testing.T) {
	simulated(t, 4, coded("2+2"), func(t *testing.T, r *rig) {
		must(t, r.put("before", content(1, 10)))
		tune := r.tune
		r.tune = func(c *Config) { tune(c); c.Ack = AckSpread }
		r.reopen()
		must(t, r.CreateBucket(t.Context(), "own"))
		must(t, r.SetBucketAck(t.Context(), "own", AckStaged))
		must(t, r.put("x", content(2, 10)))
		key, err := r.CreateAccess(t.Context(), "me", []Grant{{"*", Admin}})
		must(t, err)
		o := Put{Key: cairn.Key{Bucket: "own", Object: "x"}, Body: strings.NewReader("y"), Size: 1}
		_, err = r.Put(t.Context(), o)
		must(t, err)
		again := r.burnt(t, r.held(), 1, 3)
		defer again.shut()
		again.want("x", content(2, 10))
		if _, err := again.Access(t.Context(), key.ID); err != nil {
			t.Error(err)
		}
		if _, err := again.Stat(t.Context(), o.Key); !errors.Is(err, cairn.ErrNotExist) {
			t.Errorf("a write that was staged only: %v", err)
		}
	})
}

// TestAWriteThatCannotBeJournaled is told so, in time, is there all the same, and
// whoever asks again gets what came of the first time.
func TestAWriteThatCannotBeJournaled(t *testing.T) {
	spreadRig(t, 3, "2+1", func(t *testing.T, r *rig) {
		r.fates(func(op, _ string, _ int) backendtest.Fate {
			if op == backends.OpPut {
				return backendtest.Fails
			}
			return backendtest.Works
		})
		first := putOf("x", content(1, 500))
		first.If.NoneMatch = []string{"*"}
		began := time.Now()
		if _, err := r.Put(t.Context(), first); !errors.Is(err, cairn.ErrUnavailable) {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(began); took > r.c.SlowWait {
			t.Errorf("told after %v", took)
		}
		r.want("x", content(1, 500))
		if err := r.put("y", content(2, 10)); !errors.Is(err, cairn.ErrUnavailable) {
			t.Errorf("while no journal works: %v", err)
		}
		r.wantErr("y", cairn.ErrNotExist) // refused before it was stored
		st, err := r.Status(t.Context())
		must(t, err)
		if st.JournalFault == "" {
			t.Error("the status does not tell")
		}

		r.fates(nil)
		r.pass(3 * time.Second)
		other := putOf("x", content(9, 500))
		other.If.NoneMatch = []string{"*"}
		if _, err := r.Put(t.Context(), other); !errors.Is(err, cairn.ErrPrecondition) {
			t.Errorf("another content got %v", err)
		}
		again := putOf("x", content(1, 500))
		again.If.NoneMatch = []string{"*"}
		o, err := r.Put(t.Context(), again)
		must(t, err)
		v, err := r.Stat(t.Context(), keyOf("x"))
		must(t, err)
		if o.Stamp != v.Stamp || o.ETag != etag(content(1, 500)) {
			t.Errorf("the retry was told of %+v, %+v is there", o, v)
		}
		third := putOf("x", content(1, 500))
		third.If.NoneMatch = []string{"*"}
		if _, err := r.Put(t.Context(), third); !errors.Is(err, cairn.ErrPrecondition) {
			t.Errorf("a second one of that content got %v", err)
		}
		after := r.burnt(t, r.held(), 1)
		defer after.shut()
		after.want("x", content(1, 500))
	})
}

// TestAnAnswerWithoutARecordWaitsForWhatItRestsOn: a delete that finds nothing,
// because of one whose writer was told that it may not stand, makes it stand.
func TestAnAnswerWithoutARecordWaitsForWhatItRestsOn(t *testing.T) {
	spreadRig(t, 3, "2+1", func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 500)))
		r.fates(func(op, _ string, _ int) backendtest.Fate {
			if op == backends.OpPut {
				return backendtest.Fails
			}
			return backendtest.Works
		})
		if err := r.Delete(t.Context(), keyOf("x"), Condition{}); !errors.Is(err, cairn.ErrUnavailable) {
			t.Fatalf("got %v", err)
		}
		r.fates(nil)
		r.pass(3 * time.Second)
		must(t, r.Delete(t.Context(), keyOf("x"), Condition{}))
		again := r.burnt(t, r.held(), 2)
		defer again.shut()
		again.wantErr("x", cairn.ErrNotExist)
	})
}

// TestAJournalThatHangs is given up in time, and a store closes while one does.
func TestAJournalThatHangs(t *testing.T) {
	spreadRig(t, 3, "2+1", func(t *testing.T, r *rig) {
		hang := func(op, _ string, _ int) backendtest.Fate {
			if op == backends.OpPut {
				return backendtest.Hangs
			}
			return backendtest.Works
		}
		r.fates(hang)
		began := time.Now()
		if err := r.put("x", content(1, 500)); !errors.Is(err, cairn.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took > r.c.SlowWait+time.Second {
			t.Errorf("told after %v", took)
		}
		r.pass(3 * time.Second)
		told := make(chan error, 1)
		go func() { told <- r.put("y", content(1, 500)) }()
		r.pass(100 * time.Millisecond)
		must(t, r.Close(t.Context()))
		if err := <-told; !errors.Is(err, cairn.ErrUnavailable) {
			t.Errorf("at the end: %v", err)
		}
		must(t, r.fleet.Close())
		r.Store = nil
		r.fates(nil)
		r.open()
		r.want("x", content(1, 500))
		r.want("y", content(1, 500))
	})
}

// TestJournalsRetireWhenTheLogStands, and a restart counts the same.
func TestJournalsRetireWhenTheLogStands(t *testing.T) {
	spreadRig(t, 4, "2+2", func(t *testing.T, r *rig) {
		for i := range 5 {
			must(t, r.put(fmt.Sprint(i), content(1, 5000)))
		}
		check := func(standing, retiring int) {
			t.Helper()
			st, err := r.Status(t.Context())
			must(t, err)
			if st.Journals != standing || st.JournalsRetiring != retiring {
				t.Fatalf("%d journals stand, %d retire; want %d and %d", st.Journals, st.JournalsRetiring, standing, retiring)
			}
			var bytes int64
			for row, err := range r.idx.Packs(cairn.PackID{}) {
				must(t, err)
				if row.Kind == pack.Journal {
					bytes += row.Params.FileSize() * int64(len(row.At))
				}
			}
			if bytes != st.JournalBytes || bytes == 0 {
				t.Fatalf("journals have %d bytes, %d are counted", bytes, st.JournalBytes)
			}
			var used int64
			for _, n := range r.nodes {
				used += r.Used(n.ID)
			}
			if used < bytes {
				t.Fatalf("%d bytes are on the nodes by the books, journals alone have %d", used, bytes)
			}
		}
		check(6, 0) // one of the setting
		r.close()
		r.open()
		check(6, 0)
		must(t, r.Flush(t.Context()))
		check(0, 6)
		for row, err := range r.idx.Packs(cairn.PackID{}) {
			must(t, err)
			if row.Kind == pack.Journal && row.State != index.Retiring {
				t.Errorf("journal %v is %v", row.Params.ID, row.State)
			}
		}
		must(t, r.put("x", content(1, 5)))
		check(1, 6)
		r.reopen()
		check(1, 6)
	})
}

package durable

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cairn-storage/cairn"
)

// TestWriteFileIsAtomicAtEveryCrashPoint loses the power before and after
// each step, and in the middle of the write.
func TestWriteFileIsAtomicAtEveryCrashPoint(t *testing.T) {
	const old, fresh = "old", "new content" // shorter and longer, so that a mixture shows
	setups := map[string]func(t *testing.T, m *Mem){
		"no file":  func(t *testing.T, m *Mem) {},
		"old file": func(t *testing.T, m *Mem) { must(t, WriteFile(m, "f", []byte(old))) },
		"old file and a temporary one": func(t *testing.T, m *Mem) {
			must(t, WriteFile(m, "f", []byte(old)))
			create(t, m, "f"+TempSuffix, "left by a crash, and longer")
			must(t, m.SyncDir("."))
		},
	}
	for name, setup := range setups {
		for _, where := range []string{"before", "torn", "after"} {
			crashed := 0
			for at := uint64(1); ; at++ {
				m := NewMem()
				setup(t, m)
				on := Watch(m, Hook{
					Before: func(s Step) error {
						switch {
						case s.N != at:
						case where == "before":
							return ErrCrashed
						case where == "torn":
							return &Torn{4, ErrCrashed}
						}
						return nil
					},
					After: func(s Step, err error) error {
						if s.N == at && where == "after" {
							return ErrCrashed
						}
						return err
					},
				})
				err := WriteFile(on, "f", []byte(fresh))
				if err != nil && !errors.Is(err, ErrCrashed) {
					t.Fatal(err)
				}
				done := err == nil
				for seed := range uint64(12) {
					after := m.Crash([]int{0, 50, 100}[seed%3], seed)
					b, err := ReadFile(after, "f", 100)
					got := string(b)
					isOld := got == old && err == nil || name == "no file" && errors.Is(err, cairn.ErrNotExist)
					isNew := got == fresh && err == nil
					if !isNew && (done || !isOld) {
						t.Fatalf("%s, %s step %d, done %v: %q, %v", name, where, at, done, got, err)
					}
					must(t, WriteFile(after, "f", []byte("again")))
					if got := state(t, after.Crash(0, 0)); got != "f=again" {
						t.Fatalf("%s, %s step %d: then WriteFile leaves %q", name, where, at, got)
					}
				}
				if done {
					break
				}
				crashed++
			}
			if crashed < 5 { // create, write, sync, rename, syncdir
				t.Errorf("%s, %s: only %d crash points", name, where, crashed)
			}
		}
	}
}

// TestPowerLossAmongWriters takes what is left while others write: every
// WriteFile that had returned by then is in it.
func TestPowerLossAmongWriters(t *testing.T) {
	const writers, rounds = 4, 100
	m := NewMem()
	var acked [writers]atomic.Int64
	var all sync.WaitGroup
	defer all.Wait()
	for w := range writers {
		all.Go(func() {
			for i := int64(1); i <= rounds; i++ {
				if err := WriteFile(m, fmt.Sprint(w), []byte(fmt.Sprint(i))); err != nil {
					t.Error(err)
					return
				}
				acked[w].Store(i)
			}
		})
	}
	for seed := range uint64(60) {
		var least [writers]int64
		for w := range writers {
			least[w] = acked[w].Load()
		}
		left := m.Crash(int(seed%3)*50, seed)
		for w := range writers {
			b, err := ReadFile(left, fmt.Sprint(w), 10)
			if errors.Is(err, cairn.ErrNotExist) && least[w] == 0 {
				continue
			}
			must(t, err)
			if n, err := strconv.ParseInt(string(b), 10, 64); err != nil || n < least[w] {
				t.Errorf("writer %d had %d acknowledged, left is %q", w, least[w], b)
			}
		}
	}
	all.Wait()
	checkUsed(t, m)
}

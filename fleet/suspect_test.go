package fleet

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
)

// rot spoils the shard of sp on a node.
func rot(r *rig, sp *spread, index uint8, at int) *rigNode {
	n, name := r.holder(sp, index)
	b, _ := n.mem.Bytes(name)
	b[at] ^= 1
	n.mem.SetBytes(name, b)
	return n
}

// TestWrongTwiceIsQuarantined, whatever part of a shard is wrong; wrong once is
// a bad day of the line.
func TestWrongTwiceIsQuarantined(t *testing.T) {
	for _, part := range []string{"block", "tail", "contents"} {
		for _, twice := range []bool{true, false} {
			t.Run(part+map[bool]string{true: " twice", false: " once"}[twice], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, 3)
					sp := r.spread(coding("1+1"), 100*kib)
					slices.SortFunc(sp.where, func(a, b cairn.Location) int { return int(a.Index) - int(b.Index) })
					if part == "tail" {
						r.coolTails()
					}
					at := map[string]int{"block": 5, "tail": int(sp.TailOffset()) + 5, "contents": int(sp.Length) + 5}[part]
					n := rot(r, sp, 0, at)
					opened := n.opened
					if !twice { // good again as soon as it was read
						file, name := sp.Files[0], ""
						_, name = r.holder(sp, 0)
						n.setDelay(func(backends.Call) time.Duration { return time.Millisecond })
						go func() {
							<-time.After(1500 * time.Microsecond)
							n.mem.SetBytes(name, file)
						}()
					}
					if part == "contents" {
						_, err := r.Contents(t.Context(), sp.Params, sp.where)
						must(t, err)
					} else {
						r.read(sp, 0, 1000, 0)
					}
					wait(time.Second)
					s := r.state(n)
					if n.opened != opened+1 {
						t.Errorf("read again on %d connections of its own", n.opened-opened)
					}
					want := map[bool]string{true: "quarantined", false: "ok"}[twice]
					if s.State != want || s.Wrong == 0 {
						t.Errorf("%+v, want %s", s, want)
					}
				})
			})
		}
	}
}

// TestQuarantineOrdersPreference: no new shards, reads elsewhere first, but what
// verifies counts.
func TestQuarantineOrdersPreference(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4)
		sp := r.spread(coding("2+1"), 200*kib)
		n := rot(r, sp, 0, 5)
		r.read(sp, 0, 1000, 0)
		wait(time.Second)
		if s := r.state(n); s.State != "quarantined" {
			t.Fatalf("%+v", s)
		}
		for range 5 {
			at, err := r.Scatter(t.Context(), r.seal(coding("2+1"), 20*kib).Sealed, nil, noIntent)
			must(t, err)
			for _, l := range at {
				if l.Node == n.ID {
					t.Error("it got a new shard")
				}
			}
		}
		n.take("")
		r.read(sp, 100*kib-1000, 1000, 0)
		if calls, _ := n.take(backends.OpRead); len(calls) > 0 {
			t.Error("it is asked first")
		}
		other, _ := r.holder(sp, 1)
		other.faulty.SetDown(true)
		r.read(sp, 70*kib, 1000, 0) // k are left with it
	})
}

// TestHazardB12 is a bad transport or a bad machine of our own: several nodes
// seem to lie within an hour.
func TestHazardB12QuarantineIsNoOutage(t *testing.T) {
	for _, apart := range []time.Duration{time.Second, 30 * time.Minute, 2 * time.Hour} {
		t.Run(apart.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 7)
				sp := r.spread(coding("4+3"), 200*kib)
				alarms := 0
				for i := range uint8(3) {
					n := rot(r, sp, i, 5)
					r.read(sp, int(i)*int(sp.Length), 1000, 0)
					wait(time.Second)
					held := 0
					all, alarm := r.Status()
					alarms += bit(alarm != "")
					for _, s := range all {
						held += bit(s.State == "quarantined")
					}
					want := int(i) + 1
					if apart < time.Hour && i > 0 {
						want = 0
					}
					if held != want {
						t.Errorf("after %s fell, %d nodes are quarantined, want %d", n.Name, held, want)
					}
					wait(apart)
				}
				if alarms != map[bool]int{true: 2, false: 0}[apart < time.Hour] {
					t.Errorf("%d alarms", alarms)
				}
				r.read(sp, 0, len(sp.bytes), 0) // every block that verifies counts
				wait(3 * time.Hour)
				if _, alarm := r.Status(); alarm != "" {
					t.Errorf("still %q", alarm)
				}
				if apart < time.Hour { // the one that goes on lying falls alone
					bad, _ := r.holder(sp, 0)
					for i := range uint8(2) {
						n, name := r.holder(sp, i+1)
						n.mem.SetBytes(name, sp.Files[i+1])
					}
					r.read(sp, 0, 1000, 0)
					wait(time.Second)
					if s := r.state(bad); s.State != "quarantined" {
						t.Errorf("%+v", s)
					}
				}
			})
		})
	}
}

// TestHazardB12LeavesOldQuarantinesAlone: an alarm over two nodes frees no third
// one that was proven wrong days ago.
func TestHazardB12LeavesOldQuarantinesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7, minutely)
		sp := r.spread(coding("4+3"), 200*kib)
		var bad []*rigNode
		for i := range uint8(3) {
			bad = append(bad, rot(r, sp, i, 5))
			r.read(sp, int(i)*int(sp.Length), 1000, 0)
			wait(map[bool]time.Duration{true: 48 * time.Hour, false: time.Minute}[i == 0])
		}
		for i, want := range []string{"quarantined", "ok", "ok"} {
			if s := r.state(bad[i]); s.State != want {
				t.Errorf("number %d to fall: %s, want %s", i+1, s.State, want)
			}
		}
	})
}

// TestHazardB12EveryoneLies: with all nodes under suspicion every block that
// verifies is still served.
func TestHazardB12EveryoneSeemsToLie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 7)
		sp := r.spread(coding("4+3"), 200*kib)
		var mu sync.Mutex
		broken := true // our own line: each reply is spoilt
		for _, n := range r.nodes {
			n.faulty.SetChoose(func(op, name string, _ int) backendtest.Fate {
				mu.Lock()
				defer mu.Unlock()
				if broken && op == backends.OpRead && len(name) > 20 {
					return backendtest.Lies
				}
				return backendtest.Works
			})
		}
		for i := range 4 {
			if err := r.tryRead(sp, i*int(sp.Length), 1000, 0); err == nil {
				t.Error("wrong bytes passed for good ones")
			}
			wait(time.Second)
		}
		if _, alarm := r.Status(); alarm == "" {
			t.Error("no alarm")
		}
		mu.Lock()
		broken = false
		mu.Unlock()
		r.read(sp, 0, len(sp.bytes), 0)
		if at, err := r.Scatter(t.Context(), r.seal(coding("4+3"), 100*kib).Sealed, nil, noIntent); err != nil {
			t.Errorf("%v, %v", at, err)
		}
	})
}

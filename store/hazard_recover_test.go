package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// A2, A3: a log pack that no node has is found missing by its number, with the
// range of its records; recovery stops before it made anything, and goes on
// without where that is accepted: what comes after it counts.
func TestHazardA3Recover(t *testing.T) {
	tune, roots := rooted("1+1")
	simulated(t, 3, tune, func(t *testing.T, r *rig) {
		var stamps []cairn.Stamp
		step := func(key string, seed uint64) {
			o, err := r.Put(t.Context(), putOf(key, content(seed, 3000)))
			must(t, err)
			stamps = append(stamps, o.Stamp)
			must(t, r.Flush(t.Context()))
		}
		step("a", 1)
		r.checkpoint()
		step("b", 2)
		step("x", 3)
		step("y", 4)
		step("x", 5)
		b := r.base(roots)
		cut := b.CutOff.Number
		r.lose(r.logPack(cut+2), 0)
		r.lose(r.logPack(cut+3), 0)
		r.burn()
		out, err := r.tryRecover(b)
		if !errors.Is(err, cairn.ErrUnavailable) || !strings.Contains(err.Error(), fmt.Sprintf("log packs %d to %d", cut+2, cut+3)) || !strings.Contains(err.Error(), "accept the loss") {
			t.Fatalf("a hole is told as %v", err)
		}
		if err := r.tryOpen(); !errors.Is(err, cairn.ErrUnavailable) || !strings.Contains(err.Error(), "run it again") {
			t.Fatalf("a recovery that did not end opens: %v", err)
		}
		b.AcceptLoss = true
		out = r.recover(b)
		want := []Hole{{First: cut + 2, Last: cut + 3, After: stamps[1], Before: stamps[4]}}
		if !slices.Equal(out.Holes, want) {
			t.Errorf("holes are %+v, want %+v", out.Holes, want)
		}
		r.want("a", content(1, 3000))
		r.want("b", content(2, 3000))
		r.want("x", content(5, 3000))
		r.wantErr("y", cairn.ErrNotExist)
	})
}

// TestARecoveryGoesOnWithoutWhatRottedOnTheLastNode: one log pack's contents are
// wrong on the only node that is left. That is told, and accepted or not; it is
// no end of all recovering.
func TestARecoveryGoesOnWithoutWhatRottedOnTheLastNode(t *testing.T) {
	tune, roots := rooted("1+1")
	simulated(t, 2, tune, func(t *testing.T, r *rig) {
		step := func(key string, seed uint64) {
			must(t, r.put(key, content(seed, 3000)))
			must(t, r.Flush(t.Context()))
		}
		step("a", 1)
		r.checkpoint()
		step("b", 2)
		step("c", 3)
		b := r.base(roots)
		r.rot(r.logPack(b.CutOff.Number+1), r.nodes...)
		r.burn()
		r.down(1)
		if _, err := r.tryRecover(b); !errors.Is(err, cairn.ErrUnavailable) {
			t.Fatalf("it is not told: %v", err)
		}
		b.AcceptLoss = true
		out := r.recover(b)
		if want := b.CutOff.Number + 1; len(out.Holes) != 1 || out.Holes[0].First != want || out.Holes[0].Last != want {
			t.Errorf("holes are %+v, want %d", out.Holes, want)
		}
		r.want("a", content(1, 3000))
		r.wantErr("b", cairn.ErrNotExist)
		r.want("c", content(3, 3000))
	})
}

// A2: no life and no LSN is issued again after a recovery, also none of records
// that were lost or do not count.
func TestHazardA2Recover(t *testing.T) {
	tune, roots := rooted("1+1")
	simulated(t, 3, tune, func(t *testing.T, r *rig) {
		for range 3 {
			must(t, r.put("x", content(1, 10)))
			r.reopen()
		}
		o, err := r.Put(t.Context(), putOf("x", content(2, 10)))
		must(t, err)
		must(t, r.Flush(t.Context()))
		top := o.Stamp
		b := r.base(roots)
		r.lose(r.logPack(r.chain.done), 0) // the last: nobody knows of it
		r.burn()
		b.Life = top.Life // from the root
		r.recover(b)
		o, err = r.Put(t.Context(), putOf("x", content(3, 10)))
		must(t, err)
		if o.Stamp.Compare(top) <= 0 || o.Stamp.LSN <= top.LSN {
			t.Errorf("stamp %v is issued after %v", o.Stamp, top)
		}
	})
}

// A5 H1: x v2 is only on this machine when a checkpoint is wanted: none is made
// that names it, so that with the machine lost v1 is there.
func TestHazardA5H1Recover(t *testing.T) {
	tune, roots := rooted("1+1")
	simulated(t, 3, tune, func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 300<<10)))
		r.checkpoint()
		n := roots.count()
		r.down(3)
		must(t, r.put("x", content(2, 300<<10)))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if out, err := r.Checkpoint(ctx); !errors.Is(err, cairn.ErrUnavailable) {
			t.Errorf("a checkpoint names what no node has: %+v, %v", out, err)
		}
		if roots.count() != n {
			t.Error("a root was written for it")
		}
		b := r.base(roots)
		r.burn()
		r.down(0)
		r.recover(b)
		r.want("x", content(1, 300<<10))
	})
}

// A5 H2: the record of x v2 stands, but of its packs one is gone: v1 stays, is
// told so, and survives what retires its pack.
func TestHazardA5H2Recover(t *testing.T) {
	for _, below := range []bool{false, true} {
		tune, roots := rooted("2+1")
		simulated(t, 4, tune, func(t *testing.T, r *rig) {
			must(t, r.put("x", content(1, 300<<10)))
			must(t, r.put("y", content(3, 100)))
			if below {
				r.checkpoint()
			}
			o, err := r.Put(t.Context(), putOf("x", content(2, 500<<10)))
			must(t, err)
			must(t, r.Flush(t.Context()))
			ids := r.packsOf("x")
			b := r.base(roots)
			r.lose(ids[1], 1) // fewer than k
			r.burn()
			out := r.recover(b)
			if len(out.Lost) != 1 || out.LostCount != 1 || !out.Lost[0].Older || out.Lost[0].Key != "x" || out.Lost[0].Bucket != "bbb" ||
				out.Lost[0].Pack != ids[1] || out.Lost[0].Stamp != o.Stamp {
				t.Errorf("checkpoint %v: lost: %+v", below, out.Lost)
			}
			r.want("x", content(1, 300<<10))
			r.want("y", content(3, 100))
		})
	}
}

// A9 H1: the log packs that carried a delete, a bucket, a key and a completed
// upload are there no more; the checkpoint keeps what they said, also where all
// roots are lost.
func TestHazardA9H1Recover(t *testing.T) {
	for _, found := range []bool{false, true} {
		tune, roots := rooted("1+1")
		simulated(t, 3, tune, func(t *testing.T, r *rig) {
			ctx := t.Context()
			must(t, r.put("x", content(1, 100)))
			must(t, r.put("stays", content(2, 100)))
			must(t, r.Flush(ctx)) // the pack that lives for others
			first := r.chain.done
			must(t, r.Delete(ctx, keyOf("x"), Condition{}))
			must(t, r.CreateBucket(ctx, "later"))
			a, err := r.CreateAccess(ctx, "key", []Grant{{Bucket: "later", Level: Write}})
			must(t, err)
			up, err := r.CreateUpload(ctx, Upload{Key: keyOf("done")})
			must(t, err)
			_ = up
			must(t, r.AbortUpload(ctx, keyOf("done"), up.ID))
			r.checkpoint()
			was := r.state()
			for n := first + 1; n <= r.chain.done; n++ {
				r.lose(r.logPack(n), 0)
			}
			b := r.base(roots)
			r.burn()
			if found {
				r.bare(func(c Config) {
					must(t, c.Nodes.SetNodes(ctx, b.Nodes))
					b.Runs, b.CutOff = nil, pack.CutOff{}
					b.CutOff, b.Runs, err = FindCheckpoint(ctx, c)
					must(t, err)
				})
			}
			if out := r.recover(b); out.Logs != 0 || len(out.Holes) != 0 {
				t.Errorf("%+v", out)
			}
			r.wantState("recovered", was)
			r.wantErr("x", cairn.ErrNotExist)
			if got, err := r.Access(ctx, a.ID); err != nil || got.Secret != a.Secret {
				t.Errorf("the key is %+v, %v", got, err)
			}
			must(t, r.put("x", content(5, 10))) // the chain goes on above the cut-off
			must(t, r.Flush(ctx))
			r.reopen()
			r.want("x", content(5, 10))
		})
	}
}

// B14: what a former gateway wrote after it was succeeded does not count,
// whoever still has it.
func TestHazardB14Recover(t *testing.T) {
	tune, roots := rooted("1+1")
	simulated(t, 3, tune, func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 100)))
		must(t, r.Flush(t.Context()))
		row := pack.CutOff{Number: r.chain.done, Seal: r.chain.seal}
		must(t, r.put("x", content(2, 100)))
		must(t, r.put("zombie", content(3, 100)))
		must(t, r.Flush(t.Context()))
		void := r.logPack(row.Number + 1)
		b := r.base(roots)
		b.Gateways = []pack.RootGateway{{Key: r.gate.Sign().Public(), Until: row}, {Key: crypt.PublicKey{1}}}
		r.burn()
		out := r.recover(b)
		if !slices.Equal(out.Void, []cairn.PackID{void}) || out.LostCount != 0 || len(out.Holes) != 0 {
			t.Errorf("%+v", out)
		}
		r.want("x", content(1, 100))
		r.wantErr("zombie", cairn.ErrNotExist)
	})
}

// B15: a node is in a root when SetNode returns, with its credential in the
// clear within; a root that cannot be written fails nothing and comes later, also
// after a restart.
func TestHazardB15(t *testing.T) {
	tune, roots := rooted("1+1")
	simulated(t, 3, tune, func(t *testing.T, r *rig) {
		named := func(name string) *pack.Node {
			b, _ := roots.Body()
			if i := slices.IndexFunc(b.Nodes, func(n pack.Node) bool { return n.Name == name }); i >= 0 {
				return &b.Nodes[i]
			}
			return nil
		}
		r.close()
		n := r.addNode(3).Node
		r.open()
		n.Credential = r.SealCredential(n.ID, []byte("secret"))
		must(t, r.SetNode(t.Context(), n))
		if got := named("n4"); got == nil || string(got.Credential) != "secret" {
			t.Errorf("the root has %+v", got)
		}
		roots.fail(errKeeper)
		must(t, r.RemoveNode(t.Context(), r.nodes[0].ID))
		must(t, r.SetCoding(t.Context(), "2+1"))
		if named("n1") == nil {
			t.Fatal("a root was written")
		}
		roots.fail(nil)
		r.pass(2 * time.Minute)
		if b, _ := roots.Body(); named("n1") != nil || b.Coding != "2+1" {
			t.Error("the root was not tried again")
		}
		roots.fail(errKeeper)
		must(t, r.SetCoding(t.Context(), "1+1"))
		r.close()
		roots.fail(nil)
		r.open()
		r.pass(time.Second)
		if b, _ := roots.Body(); b.Coding != "1+1" {
			t.Errorf("after a restart the root says %s", b.Coding)
		}
		count := roots.count()
		r.reopen()
		r.pass(time.Hour)
		if roots.count() != count {
			t.Error("a root is written although nothing differs")
		}
	})
}

// B22: after a recovery a shard on a node that did not answer is where it was,
// one that is not listed on a node that did is not.
func TestHazardB22(t *testing.T) {
	tune, roots := rooted("2+2")
	simulated(t, 4, tune, func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 300<<10)))
		r.checkpoint()
		must(t, r.put("y", content(2, 300<<10)))
		must(t, r.Flush(t.Context()))
		r.checkpoint()
		was := make(map[cairn.PackID][]cairn.Location)
		for _, key := range []string{"x", "y"} {
			for _, id := range r.packsOf(key) {
				row, err := r.idx.Pack(id)
				must(t, err)
				was[id] = row.At
			}
		}
		id := r.packsOf("x")[0]
		gone := was[id][slices.IndexFunc(was[id], func(l cairn.Location) bool { return l.Node != r.nodes[0].ID })]
		for _, n := range r.nodes {
			if n.ID == gone.Node {
				must(t, n.mem.Delete(t.Context(), layout.Path(gone.Name(id))))
			}
		}
		b := r.base(roots)
		r.burn()
		r.down(1)
		if _, err := r.tryRecover(b); !errors.Is(err, cairn.ErrUnavailable) || !strings.Contains(err.Error(), "n1") {
			t.Errorf("a silent node is told as %v", err)
		}
		b.AcceptLoss = true
		out := r.recover(b)
		if !slices.Equal(out.Silent, []string{"n1"}) || out.LostCount != 0 {
			t.Errorf("%+v", out)
		}
		for pid, at := range was {
			want := slices.Clone(at)
			if pid == id {
				want = slices.DeleteFunc(want, func(l cairn.Location) bool { return l == gone })
			}
			row, err := r.idx.Pack(pid)
			must(t, err)
			if !slices.Equal(row.At, want) {
				t.Errorf("pack %v stands at %v, want %v", pid, row.At, want)
			}
		}
		r.want("x", content(1, 300<<10))
	})
}

// A fork ends all writing and no reading.
func TestHalt(t *testing.T) {
	tune, roots := rooted("1+1")
	simulated(t, 3, tune, func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 100)))
		must(t, r.Flush(t.Context()))
		must(t, r.put("staged", content(2, 100)))
		n, count := len(r.shards()), roots.count()
		fork := fmt.Errorf("root 7 is another's: %w", cairn.ErrFork)
		r.Halt(fork)
		r.Halt(errors.New("a second time"))
		_, checkpoint := r.Checkpoint(t.Context())
		for what, err := range map[string]error{
			"put": r.put("y", content(3, 100)), "large put": r.put("y", content(3, 300<<10)),
			"delete": r.Delete(t.Context(), keyOf("x"), Condition{}), "bucket": r.CreateBucket(t.Context(), "other"),
			"flush": r.Flush(t.Context()), "checkpoint": checkpoint,
		} {
			if !errors.Is(err, cairn.ErrFork) {
				t.Errorf("%s: %v", what, err)
			}
		}
		r.pass(3 * time.Hour)
		if len(r.shards()) != n || roots.count() != count {
			t.Errorf("%d packs and %d roots were written", len(r.shards())-n, roots.count()-count)
		}
		r.want("x", content(1, 100))
		r.want("staged", content(2, 100))
	})
}

// A node lists packs that never were: they are left out, and nothing else is.
func TestRecoverLeavesOutWhatIsMadeUp(t *testing.T) {
	tune, roots := rooted("1+1")
	simulated(t, 3, tune, func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 100)))
		r.checkpoint()
		must(t, r.put("x", content(2, 100)))
		must(t, r.Flush(t.Context()))
		for i := range byte(40) {
			id := cairn.NewPackID(1000+uint64(i), [10]byte{i})
			r.nodes[int(i)%3].mem.SetBytes(layout.Path(cairn.ShardName{Pack: id, Write: 7}), content(uint64(i), 9000))
		}
		b := r.base(roots)
		r.burn()
		if out := r.recover(b); out.LostCount != 0 || len(out.Holes) != 0 || out.Logs == 0 {
			t.Errorf("%+v", out)
		}
		r.want("x", content(2, 100))
	})
}

// A directory that has stages is not recovered over: what they hold may be
// nowhere else. One that another process has open is not either.
func TestRecoverRefusesADirectoryInUse(t *testing.T) {
	tune, roots := rooted("1+1")
	simulated(t, 3, tune, func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 100)))
		b := r.base(roots)
		if _, err := Recover(t.Context(), r.config(), b); err == nil {
			t.Error("an open store is recovered over")
		}
		r.close()
		if _, err := r.tryRecover(b); !errors.Is(err, cairn.ErrPrecondition) {
			t.Errorf("a store with stages is recovered over: %v", err)
		}
		r.open()
		r.want("x", content(1, 100))
	})
}

// Whatever of a checkpoint is lost, recovery says so and makes nothing of it; from
// all log packs it still brings back everything.
func TestRecoverFromADamagedCheckpoint(t *testing.T) {
	tune, roots := rooted("2+1")
	simulated(t, 3, tune, func(t *testing.T, r *rig) {
		want := r.many(t, 0, 100)
		r.checkpoint()
		was := r.state()
		b := r.base(roots)
		r.lose(b.Runs[0].Packs[0].Params.ID, 1)
		r.burn()
		if _, err := r.tryRecover(b); err == nil || errors.Is(err, cairn.ErrPrecondition) {
			t.Errorf("a checkpoint of which too little is left: %v", err)
		}
		b.Runs, b.CutOff = nil, pack.CutOff{}
		r.recover(b)
		r.wantState("from the log", was)
		for key, data := range want {
			r.want(key, data)
		}
	})
}

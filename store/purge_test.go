package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/pack"
)

// TestPurge: the bytes are gone from every node when it returns, also small ones
// in a log pack among others; the neighbours read, here and after a recovery.
func TestPurge(t *testing.T) {
	for _, size := range []int{700, tinyPack + 700, 3 * tinyPack} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			collecting(t, 3, "1+1", func(t *testing.T, r *rig, roots *rootFile) {
				must(t, r.put("before", content(1, 900)))
				must(t, r.put("secret", content(2, size)))
				must(t, r.put("after", content(3, 900)))
				_, err := r.Copy(t.Context(), Copy{From: keyOf("after"), To: keyOf("copy")})
				must(t, err)
				ids := r.packsOf("secret")
				var said []string
				out, err := r.Purge(t.Context(), keyOf("secret"), nil, func(s string) { said = append(said, s) })
				must(t, err)
				left, files := 0, 0
				for _, n := range out.Nodes {
					left, files = left+n.Left, files+n.Gone
				}
				if r.fileCount(ids...) != 0 || left != 0 || files != 2*out.Packs || out.Packs < len(ids) || len(out.Copies) != 0 || len(said) < 4 {
					t.Errorf("%d files stand, %+v, said %q", r.fileCount(ids...), out, said)
				}
				for _, id := range ids {
					if r.packState(id) != "dropped" {
						t.Errorf("pack %v is %v", id, r.packState(id))
					}
					for _, f := range stageFiles(t, r.fs) {
						if f == id {
							t.Errorf("stage %v is still there", id)
						}
					}
				}
				r.wantErr("secret", cairn.ErrNotExist)
				check := func() {
					t.Helper()
					r.want("before", content(1, 900))
					r.want("after", content(3, 900))
					r.want("copy", content(3, 900))
				}
				check()
				r.booked()
				r.reopen()
				check()
				base := r.base(roots)
				r.burn()
				r.recover(base)
				check()
				if _, err := r.Purge(t.Context(), keyOf("secret"), nil, nil); !errors.Is(err, cairn.ErrNotExist) {
					t.Errorf("once more: %v", err)
				}
			})
		})
	}
}

// TestPurgeTellsWhoDidNotConfirm, which copies are left, and goes on by itself.
func TestPurgeTellsWhoDidNotConfirm(t *testing.T) {
	collecting(t, 3, "1+2", func(t *testing.T, r *rig, _ *rootFile) {
		must(t, r.put("secret", content(2, tinyPack)))
		_, err := r.Copy(t.Context(), Copy{From: keyOf("secret"), To: keyOf("copy")})
		must(t, err)
		r.rest()
		ids := r.packsOf("secret")
		r.nodes[1].faulty.SetChoose(onDeletes(backendtest.Fails))
		out, err := r.Purge(t.Context(), keyOf("secret"), nil, nil)
		must(t, err)
		i := slices.IndexFunc(out.Nodes, func(n PurgedNode) bool { return n.Left > 0 })
		if i != 1 || out.Nodes[1].Why == "" || out.Nodes[1].Name != "n2" || len(out.Nodes) != 3 || !slices.Equal(out.Copies, []cairn.Key{keyOf("copy")}) {
			t.Errorf("%+v", out)
		}
		if r.fileCount(ids...) != 1 {
			t.Errorf("%d files stand", r.fileCount(ids...))
		}
		r.want("copy", content(2, tinyPack))
		r.nodes[1].faulty.SetChoose(nil)
		r.retireAll()
		r.pass(2 * eon)
		if r.fileCount(ids...) != 0 {
			t.Errorf("%d files are left", r.fileCount(ids...))
		}
	})
}

// TestPurgeOfJournaledBytes: a journal holds them, too.
func TestPurgeOfJournaledBytes(t *testing.T) {
	tune, _ := rooted("1+1")
	simulated(t, 3, func(c *Config) { tune(c); c.Ack, c.Settle = AckSpread, time.Hour }, func(t *testing.T, r *rig) {
		must(t, r.put("secret", content(2, 5000)))
		var journals []cairn.PackID
		for row, err := range r.Packs(cairn.PackID{}) {
			must(t, err)
			if row.Kind == pack.Journal {
				journals = append(journals, row.Params.ID)
			}
		}
		if len(journals) == 0 {
			t.Fatal("no journal was made")
		}
		_, err := r.Purge(t.Context(), keyOf("secret"), nil, nil)
		must(t, err)
		if n := r.fileCount(journals...); n != 0 {
			t.Errorf("%d files of journals stand", n)
		}
		r.booked()
	})
}

// TestPurgeGoesOn where it was cut off, also after a restart.
func TestPurgeGoesOn(t *testing.T) {
	collecting(t, 2, "1+1", func(t *testing.T, r *rig, roots *rootFile) {
		must(t, r.put("secret", content(2, tinyPack)))
		must(t, r.put("other", content(3, 500)))
		ids := r.packsOf("secret")
		roots.fail(cairn.ErrUnavailable)
		if _, err := r.Purge(t.Context(), keyOf("secret"), nil, nil); err == nil {
			t.Fatal("purged without a root")
		}
		if r.fileCount(ids...) == 0 {
			t.Fatal("deleted before a root knew")
		}
		r.reopen()
		roots.fail(nil)
		out, err := r.Purge(t.Context(), keyOf("secret"), nil, nil)
		must(t, err)
		if r.fileCount(ids...) != 0 || out.Packs == 0 {
			t.Errorf("%d files stand, %+v", r.fileCount(ids...), out)
		}
		r.want("other", content(3, 500))
	})
}

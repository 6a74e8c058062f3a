package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// TestWhatCountsAsDown: a node that answers is up, whatever it answers.
func TestWhatCountsAsDown(t *testing.T) {
	for _, x := range []struct {
		err  error
		down bool
	}{
		{cairn.ErrNotExist, false}, {cairn.ErrFull, false}, {cairn.ErrDenied, false}, {cairn.ErrCorrupt, false}, {cairn.ErrInvalid, false},
		{backends.ErrForeign, false}, {cairn.ErrUnavailable, true}, {errors.New("of no class"), true},
	} {
		t.Run(x.err.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 1)
				synctest.Wait()
				n := r.nodes[0]
				n.setInstead(func(_ context.Context, c backends.Call) error {
					if c.Name == layout.MarkerName {
						return nil
					}
					return fmt.Errorf("as told: %w", x.err)
				})
				for range 10 {
					_, err := r.node(n.ID).stat(t.Context(), "packs/x")
					var e *backends.Error
					if !errors.As(err, &e) || e.Node != n.Name || cairn.Class(err) == nil {
						t.Fatalf("%v does not name the node, or has no class", err)
					}
				}
				if up, _ := r.node(n.ID).link.up(); up == x.down {
					t.Errorf("up %v after ten answers %q", up, x.err)
				}
			})
		})
	}
}

// TestHalfOpenNeverSticks: whatever becomes of the trial of an open breaker,
// another is let through in time.
func TestHalfOpenNeverSticks(t *testing.T) {
	for _, x := range []struct {
		what  string
		trial func(t *testing.T, n *node) // must use the trial up
	}{
		{"its caller gave up", func(t *testing.T, n *node) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, _ = n.stat(ctx, "packs/x")
		}},
		{"it failed", func(t *testing.T, n *node) { _, _ = n.stat(t.Context(), "packs/x") }},
		{"nothing ever came of it", func(t *testing.T, n *node) { n.link.allow(time.Now()) }},
		{"its listing was left early", func(t *testing.T, n *node) {
			for range n.list(t.Context(), layout.PacksDir) {
				break
			}
		}},
	} {
		t.Run(x.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 1, unwatched)
				synctest.Wait()
				n := r.node(r.nodes[0].ID)
				r.nodes[0].faulty.SetDown(true)
				for range 3 {
					_, _ = n.stat(t.Context(), "packs/x")
				}
				if up, _ := n.link.up(); up {
					t.Fatal("three failures in a row left it up")
				}
				wantClass(t, "while open", n.present(t.Context()), cairn.ErrUnavailable)
				wait(coolFirst)
				x.trial(t, n)
				r.nodes[0].faulty.SetDown(false)
				wait(2 * coolFirst)
				must(t, n.present(t.Context()))
			})
		})
	}
}

// wait lets the bubble's time pass.
func wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// TestCallsThatFailTogetherOpenTheBreakerOnce: what was under way when it opened
// does not make it wait longer.
func TestCallsThatFailTogetherOpenTheBreakerOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, unwatched)
		synctest.Wait()
		n := r.node(r.nodes[0].ID)
		r.nodes[0].setDelay(func(backends.Call) time.Duration { return time.Second })
		r.nodes[0].faulty.SetDown(true)
		done := make(chan struct{}, 40)
		for range 40 {
			go func() {
				_, _ = n.stat(t.Context(), "packs/x")
				done <- struct{}{}
			}()
		}
		for range 40 {
			<-done
		}
		r.nodes[0].faulty.SetDown(false)
		wait(coolFirst)
		must(t, n.present(t.Context()))
	})
}

// TestASlowConnectionIsMadeThoughReadersGiveUp: a node that takes longer to
// connect to than any reader is patient is connected all the same.
func TestASlowConnectionIsMadeThoughReadersGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := 0
		r := newRig(t, 1, func(c *Config) {
			open := c.Open
			c.Watch = 1000 * time.Hour
			c.Open = func(ctx context.Context, n pack.Node) (backends.Remote, error) {
				opened++
				select {
				case <-time.After(5 * time.Second):
					return open(ctx, n)
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
		})
		n := r.node(r.nodes[0].ID)
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_ = n.present(ctx)
			cancel()
		}
		must(t, n.present(t.Context()))
		if opened != 1 {
			t.Errorf("connected %d times", opened)
		}
	})
}

// TestHazardB7 is a disk that is not mounted: every name is a clean "not
// found", and what is written lands below the mount point.
func TestHazardB7UnmountedDiskIsOffline(t *testing.T) {
	marks := map[string]func(t *testing.T) []byte{
		"missing": nil,
		"of another store": func(t *testing.T) []byte {
			b, err := layout.Marker{Version: 1, Store: cairn.StoreID{8}, Node: cairn.NodeID{1}}.Encode()
			must(t, err)
			return b
		},
		"of another node": func(t *testing.T) []byte {
			b, err := layout.Marker{Version: 1, Store: testStore, Node: cairn.NodeID{77}}.Encode()
			must(t, err)
			return b
		},
		"not spelt as cairn writes it": func(*testing.T) []byte { return []byte("{}") },
		"empty":                        func(*testing.T) []byte { return nil },
		"too large":                    func(*testing.T) []byte { return make([]byte, 1<<20) },
	}
	for what, mark := range marks {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 3)
				sp := r.spread(coding("2+1"), 100*kib)
				n, name := r.holder(sp, 0)
				before := n.mem.Names()
				files := map[string][]byte{}
				for _, f := range before { // the disk goes away
					files[f], _ = n.mem.Bytes(f)
					n.mem.Drop(f)
				}
				if mark != nil {
					n.mem.SetBytes(layout.MarkerName, mark(t))
				}
				stood := len(n.mem.Names())

				// Never lost: the error of a direct read is not "not found".
				err := r.node(n.ID).readAt(t.Context(), name, make([]byte, 10), 0)
				if errors.Is(err, cairn.ErrNotExist) || err == nil {
					t.Errorf("a read says %v", err)
				}
				r.read(sp, 0, len(sp.bytes), 0)
				if _, err := r.Survey(t.Context()); err == nil || !strings.Contains(err.Error(), n.Name) {
					t.Errorf("a survey takes the empty listing for the truth: %v", err)
				}

				// Never written to, and new packs wait.
				if at, err := r.Scatter(t.Context(), r.seal(coding("2+1"), 50*kib).Sealed, nil, noIntent); err == nil || len(at) != 2 {
					t.Errorf("scattered to %v, %v", at, err)
				}
				if now := n.mem.Names(); len(now) != stood {
					t.Errorf("written below the mount point: %v", now)
				}
				if s := r.state(n); s.State == "down" && !strings.Contains(s.Why, layout.MarkerName) {
					t.Errorf("status does not say why: %+v", s)
				}

				for f, b := range files { // mounted again
					n.mem.SetBytes(f, b)
				}
				wait(coolMost)
				if s := r.state(n); s.State != "ok" {
					t.Errorf("%+v", s)
				}
				if good := r.Verify(t.Context(), sp.Params, sp.where); len(good) != 3 {
					t.Errorf("%d shards stand", len(good))
				}
			})
		})
	}
}

// TestHazardB7NothingBelowTheMountPointCounts unmounts the disk under a node
// that was seen healthy, without a failure that would tell.
func TestHazardB7NothingBelowTheMountPointCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		synctest.Wait()
		n := r.nodes[0]
		n.mem.Drop(layout.MarkerName)
		at, err := r.Scatter(t.Context(), r.seal(coding("1+1"), 50*kib).Sealed, nil, noIntent)
		if err == nil || len(at) != 1 || at[0].Node == n.ID {
			t.Errorf("a shard below the mount point counts: %v, %v", at, err)
		}
		wantClass(t, "scatter", err, cairn.ErrUnavailable)
		names := len(n.mem.Names())
		if at, _ = r.Scatter(t.Context(), r.seal(coding("1+1"), 50*kib).Sealed, nil, noIntent); len(at) != 1 || len(n.mem.Names()) != names {
			t.Errorf("written to again: %v", n.mem.Names())
		}
	})
}

func TestAMarkerThatLiesAboutItsSizeHarmsNobody(t *testing.T) {
	mem := &backendtest.Mem{}
	for _, size := range []int64{-1, -1 << 62, 1 << 62} {
		if _, err := ReadMarker(t.Context(), liar{mem, size}); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("size %d: %v", size, err)
		}
	}
	_, err := ReadMarker(t.Context(), mem)
	wantClass(t, "no marker", err, cairn.ErrNotExist)
}

// liar gives every file a size of its own invention.
type liar struct {
	backends.Remote
	size int64
}

func (l liar) Stat(context.Context, string) (int64, error) { return l.size, nil }

package integration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// TestAtticLoad: the load of attic with 50 PUTs in flight, every byte verified;
// and what it leaves on the nodes.
func TestAtticLoad(t *testing.T) {
	n := 2000
	if long() {
		n = 12_800
	}
	ctx := limit(t, 5*time.Minute)
	d := demo(t, ctx)
	o := Objects{seed(t)}
	client := d.Client(64)
	defer client.Close()

	writes(t, ctx, d, client, o, n, 50, oneEach)
	reads(t, ctx, client, o, n, func(int) bool { return false }, "just written")
	do(t, ctx, d, "flush")

	deleted := func(i int) bool { return i%10 < 3 }
	_, errs := Each(ctx, n, 20, func(ctx context.Context, i int) error {
		if !deleted(i) {
			return nil
		}
		return client.Delete(ctx, o.Key(i))
	})
	if len(errs) > 0 {
		t.Fatalf("%d deletes failed, the first: %v", len(errs), errs[0])
	}
	reads(t, ctx, client, o, n, deleted, "after deleting 30 %")
	do(t, ctx, d, "flush")
	nodesHoldFewFiles(t, ctx, d)
}

// TestFsyncsPerObject: how many objects share an fsync of the gateway. On a
// disk that takes long for a sync all writers wait for the next when it ends,
// however late a busy machine lets them come: that is held to a bound. On the
// disk of this machine it is a figure of how busy the machine is; what is held
// to is that nothing costs an object more than one. That few writers share a
// quick disk too, store's test of this name shows by a simulated clock.
func TestFsyncsPerObject(t *testing.T) {
	type load struct {
		n, width int
		most     float64
	}
	for _, c := range []struct {
		name  string
		args  []string
		loads []load
	}{
		{"this disk", nil, []load{{400, 8, oneEach}, {1000, 50, oneEach}}},
		{"a disk that takes 50 ms for a sync", []string{"--sync-delay", "50ms"}, []load{{400, 8, 0.3}, {1500, 50, 0.1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := limit(t, 3*time.Minute)
			d := demo(t, ctx, c.args...)
			client := d.Client(50)
			defer client.Close()
			for _, l := range c.loads {
				writes(t, ctx, d, client, Objects{seed(t)}, l.n, l.width, l.most)
			}
		})
	}
}

// oneEach is the most fsyncs an object when no two share one: one each, and
// what packs cost.
const oneEach = 1.3

// writes puts n objects and holds the fsyncs of each against a bound.
func writes(t *testing.T, ctx context.Context, d *Demo, client *Client, o Objects, n, width int, most float64) {
	t.Helper()
	before, err := d.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	_, errs := Each(ctx, n, width, func(ctx context.Context, i int) error { return client.Put(ctx, o.Key(i), o.Body(i)) })
	took := time.Since(started)
	if len(errs) > 0 {
		t.Fatalf("%d of %d PUTs failed, the first: %v", len(errs), n, errs[0])
	}
	after, err := d.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	each := float64(*after.Fsyncs-*before.Fsyncs) / float64(n)
	figure(t, "%d PUTs at c%d in %.1f s (%.0f/s), %.3f fsyncs an object (at most %.2f)", n, width, took.Seconds(), float64(n)/took.Seconds(), each, most)
	if each > most {
		t.Errorf("%.3f fsyncs an object, at most %.2f are promised", each, most)
	}
	if *after.Fsyncs == *before.Fsyncs {
		t.Error("no fsync was counted for acknowledged writes")
	}
}

// reads reads all objects as attic does; those deleted must be gone.
func reads(t *testing.T, ctx context.Context, client *Client, o Objects, n int, deleted func(int) bool, when string) {
	t.Helper()
	started := time.Now()
	errs := ReadNARs(ctx, n, 8, func(ctx context.Context, i int) error {
		if !deleted(i) {
			return o.Check(ctx, client, i)
		}
		if _, err := client.Get(ctx, o.Key(i)); Status(err) != http.StatusNotFound {
			return fmt.Errorf("%s was deleted and answers %v", o.Key(i), err)
		}
		return nil
	})
	if len(errs) > 0 {
		t.Fatalf("%s: %v", when, errors.Join(errs...))
	}
	figure(t, "%s: %d objects exact, two GETs in flight a NAR, %.0f/s", when, n, float64(n)/time.Since(started).Seconds())
}

// nodesHoldFewFiles: on each node about one file a pack, and no directory that
// makes a file system slow.
func nodesHoldFewFiles(t *testing.T, ctx context.Context, d *Demo) {
	t.Helper()
	const most = 256 // entries of a directory
	eventually(t, ctx, "files on the nodes", func(ctx context.Context) error {
		s, err := d.Status(ctx)
		if err != nil {
			return err
		}
		packs := int(*s.Packs)
		if packs == 0 {
			return errors.New("no pack is spread")
		}
		for _, node := range d.Nodes {
			c, err := TakeCensus(node.Dir)
			switch {
			case err != nil:
				return err
			case c.Largest > most:
				t.Fatalf("node %s: %s has %d entries", node.Name, c.Where, c.Largest)
			case 10*max(c.Shards-packs, packs-c.Shards) > packs:
				return fmt.Errorf("node %s holds %d shards of %d packs", node.Name, c.Shards, packs)
			}
		}
		c, err := TakeCensus(d.Nodes[0].Dir)
		if err == nil {
			figure(t, "%d packs; node %s holds %d files, %d of them shards; its largest directory has %d entries", packs, d.Nodes[0].Name, c.Files, c.Shards, c.Largest)
		}
		return err
	})
}

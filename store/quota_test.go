package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
)

// limited makes a store whose bucket may hold 1,000 bytes and holds "a" of 400.
func limited(t *testing.T, f func(*testing.T, *rig)) {
	simulated(t, 1, coded("1+0"), func(t *testing.T, r *rig) {
		must(t, r.put("a", content(1, 400)))
		must(t, r.CreateBucket(t.Context(), "other"))
		must(t, r.SetBucketQuota(t.Context(), "bbb", 1000))
		f(t, r)
	})
}

// A write that would take a bucket over its quota is refused, whatever verb it
// comes by, and one that just fits is not; replacing counts the difference. The
// quota survives a restart.
func TestAQuotaHoldsForEveryVerb(t *testing.T) {
	t.Parallel()
	complete := func(r *rig, key string, sizes ...int) error {
		id := r.begin(key)
		var parts [][]byte
		for i, n := range sizes {
			parts = append(parts, content(uint64(i), n))
			if err := r.part(key, id, i+1, parts[i]); err != nil {
				return err
			}
		}
		_, err := r.complete(key, id, parts...)
		return err
	}
	copied := func(r *rig, from, to string, size int) error {
		src := cairn.Key{Bucket: "other", Object: from}
		p := putOf(from, content(3, size))
		p.Key = src
		_, err := r.Put(r.tb.Context(), p)
		must(r.tb, err)
		_, err = r.Copy(r.tb.Context(), Copy{From: src, To: keyOf(to)})
		return err
	}
	for what, c := range map[string]struct {
		act  func(*rig) error
		used int64 // after; 400 where it is refused
	}{
		"put that fits":        {func(r *rig) error { return r.put("b", content(2, 600)) }, 1000},
		"put of one byte more": {func(r *rig) error { return r.put("b", content(2, 601)) }, 400},
		"large put":            {func(r *rig) error { return r.put("b", content(2, 2*tinyPack)) }, 400},
		"put of unknown length": {func(r *rig) error {
			p := putOf("b", content(2, 601))
			p.Size = -1
			_, err := r.Put(r.tb.Context(), p)
			return err
		}, 400},
		"put in place of another":           {func(r *rig) error { return r.put("a", content(2, 1000)) }, 1000},
		"put in place of another, too long": {func(r *rig) error { return r.put("a", content(2, 1001)) }, 400},
		"copy that fits":                    {func(r *rig) error { return copied(r, "s", "b", 600) }, 1000},
		"copy of one byte more":             {func(r *rig) error { return copied(r, "s", "b", 601) }, 400},
		"copy in place of another":          {func(r *rig) error { return copied(r, "s", "a", 1000) }, 1000},
		"copy onto itself": {func(r *rig) error {
			_, err := r.Copy(r.tb.Context(), Copy{From: keyOf("a"), To: keyOf("a"), Replace: true})
			return err
		}, 400},
		"tags":                           {func(r *rig) error { return r.SetTags(r.tb.Context(), keyOf("a"), "a=b") }, 400},
		"completion that fits":           {func(r *rig) error { return complete(r, "b", 300, 300) }, 1000},
		"completion of one byte more":    {func(r *rig) error { return complete(r, "b", 300, 301) }, 400},
		"completion in place of another": {func(r *rig) error { return complete(r, "a", 500, 500) }, 1000},
		"a part that alone does not fit": {func(r *rig) error { return complete(r, "b", 601) }, 400},
		"after a delete": {func(r *rig) error {
			return errors.Join(r.Delete(r.tb.Context(), keyOf("a"), Condition{}), r.put("b", content(2, 1000)))
		}, 1000},
	} {
		t.Run(what, func(t *testing.T) {
			limited(t, func(t *testing.T, r *rig) {
				err := c.act(r)
				refused := c.used == 400 && what != "copy onto itself" && what != "tags"
				if refused != (err != nil) || refused && (!errors.Is(err, ErrQuota) || !errors.Is(err, cairn.ErrDenied)) {
					t.Errorf("it is answered %v", err)
				}
				for range 2 {
					if u, err := r.Usage(t.Context(), "bbb"); err != nil || u.Bytes != c.used {
						t.Errorf("%d bytes are used, %v, want %d", u.Bytes, err, c.used)
					}
					if b, err := r.Bucket(t.Context(), "bbb"); err != nil || b.Quota != 1000 {
						t.Errorf("the bucket is %+v, %v", b, err)
					}
					r.reopen()
				}
				if refused {
					r.nothingOrphaned(t)
				}
			})
		})
	}
}

// Writes that come together, and so are decided in one group, never pass the
// quota, and what fits is not refused.
func TestAQuotaHoldsForWritesTogether(t *testing.T) {
	limited(t, func(t *testing.T, r *rig) {
		for round := range 20 {
			var calls []func() error
			for i := range 12 {
				calls = append(calls, func() error { return r.put(fmt.Sprint("k", i), content(uint64(i), 100)) })
			}
			kept := 0
			for _, err := range together(calls...) {
				if err == nil {
					kept++
				} else if !errors.Is(err, ErrQuota) {
					t.Fatal(err)
				}
			}
			if u, err := r.Usage(t.Context(), "bbb"); err != nil || kept != 6 || u.Bytes != 1000 || u.Objects != 7 {
				t.Fatalf("round %d: %d of 12 are kept, %+v, %v", round, kept, u, err)
			}
			calls = nil
			for i := range 12 {
				calls = append(calls, func() error { return r.Delete(t.Context(), keyOf(fmt.Sprint("k", i)), Condition{}) })
			}
			must(t, errors.Join(together(calls...)...))
		}
	})
}

// A quota below what is stored refuses what grows and nothing else; one of 0 is
// none.
func TestAQuotaThatIsPassedAlready(t *testing.T) {
	limited(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		must(t, r.SetBucketQuota(ctx, "bbb", 100))
		if err := r.put("b", content(2, 1)); !errors.Is(err, ErrQuota) {
			t.Errorf("one byte more: %v", err)
		}
		must(t, r.put("empty", nil))
		must(t, r.put("a", content(1, 399)))
		must(t, r.SetTags(ctx, keyOf("a"), "a=b"))
		must(t, r.SetBucketQuota(ctx, "bbb", 0))
		must(t, r.put("b", content(2, 100_000)))
		if err := r.SetBucketQuota(ctx, "bbb", -1); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("a quota below 0: %v", err)
		}
		if err := r.SetBucketQuota(ctx, "none", 1); !errors.Is(err, ErrNoBucket) {
			t.Errorf("of no bucket: %v", err)
		}
		if _, err := r.Usage(ctx, "none"); !errors.Is(err, ErrNoBucket) {
			t.Errorf("usage of no bucket: %v", err)
		}
	})
}

// A body that cannot fit is refused before it is read.
func TestAQuotaRefusesBeforeTheBody(t *testing.T) {
	limited(t, func(t *testing.T, r *rig) {
		id := r.begin("b")
		read := false
		body := calling{func() { read = true }}
		_, put := r.Put(t.Context(), Put{Key: keyOf("b"), Body: body, Size: 601})
		_, part := r.PutPart(t.Context(), PutPart{Key: keyOf("b"), Upload: id, Number: 1, Body: body, Size: 601})
		if !errors.Is(put, ErrQuota) || !errors.Is(part, ErrQuota) || read {
			t.Errorf("put: %v, part: %v, the body was read: %v", put, part, read)
		}
	})
}

// Settings of a bucket do not touch each other, survive a restart and the loss
// of the index, and go with the bucket.
func TestBucketSettings(t *testing.T) {
	simulated(t, 2, settled, func(t *testing.T, r *rig) {
		ctx := t.Context()
		rules := strings.Repeat("r", maxCORS)
		must(t, r.SetBucketCORS(ctx, "bbb", rules))
		must(t, r.SetBucketQuota(ctx, "bbb", 77))
		must(t, r.SetBucketPublic(ctx, "bbb", true))
		check := func(want Bucket) {
			t.Helper()
			b, err := r.Bucket(ctx, "bbb")
			want.Name, want.Created = b.Name, b.Created
			if err != nil || b != want {
				t.Errorf("the bucket is %+v, %v, want %+v", b, err, want)
			}
			all, err := r.Buckets(ctx)
			if err != nil || len(all) != 1 || all[0] != b {
				t.Errorf("listed as %+v, %v", all, err)
			}
		}
		check(Bucket{Public: true, Quota: 77, CORS: rules})
		if err := r.SetBucketCORS(ctx, "bbb", rules+"r"); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("rules that are too long: %v", err)
		}
		if err := r.SetBucketCORS(ctx, "none", ""); !errors.Is(err, ErrNoBucket) {
			t.Errorf("of no bucket: %v", err)
		}
		r.crash(0, 1)
		r.open()
		check(Bucket{Public: true, Quota: 77, CORS: rules})
		must(t, r.SetBucketCORS(ctx, "bbb", ""))
		check(Bucket{Public: true, Quota: 77})
		must(t, r.Flush(ctx))
		r.pass(soon)
		r.lostIndex(t)
		check(Bucket{Public: true, Quota: 77})
		must(t, r.DeleteBucket(ctx, "bbb"))
		must(t, r.CreateBucket(ctx, "bbb"))
		check(Bucket{})
	})
}

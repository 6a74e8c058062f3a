package store

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/race"
)

// A completion whose answer was lost is answered again with what it became,
// whatever became of that, for UploadAge; not for another ETag, key or bucket.
func TestACompletionCanBeRepeated(t *testing.T) {
	t.Parallel()
	for what, since := range map[string]func(*testing.T, *rig){
		"at once":     func(t *testing.T, r *rig) {},
		"restarted":   func(t *testing.T, r *rig) { r.reopen() },
		"power lost":  func(t *testing.T, r *rig) { r.crash(0, 1); r.open() },
		"overwritten": func(t *testing.T, r *rig) { must(t, r.put("x", []byte("new"))) },
		"deleted":     func(t *testing.T, r *rig) { must(t, r.Delete(t.Context(), keyOf("x"), Condition{})) },
		"deleted, released and restarted": func(t *testing.T, r *rig) {
			must(t, r.Delete(t.Context(), keyOf("x"), Condition{}))
			must(t, r.Flush(t.Context()))
			r.pass(soon)
			r.reopen()
		},
		"index lost": func(t *testing.T, r *rig) { must(t, r.Flush(t.Context())); r.pass(soon); r.lostIndex(t) },
	} {
		t.Run(what, func(t *testing.T) {
			simulated(t, 3, settled, func(t *testing.T, r *rig) {
				parts := [][]byte{content(1, 70_000), content(2, 10)}
				id := r.begin("x")
				for i, p := range parts {
					must(t, r.part("x", id, i+1, p))
				}
				first, err := r.complete("x", id, parts...)
				must(t, err)
				since(t, r)
				before, beforeErr := r.Stat(t.Context(), keyOf("x"))
				again := func() (cairn.Object, error) {
					c := completeOf("x", id, parts...)
					c.If.NoneMatch = []string{"*"}
					c.Decide = func([]Part) (Digest, error) { t.Error("it is decided again"); return Digest{}, nil }
					return r.CompleteUpload(t.Context(), c)
				}
				o, err := again()
				if err != nil || o.Stamp != first.Stamp || o.ETag != first.ETag || o.Size != first.Size || !o.Modified.Equal(first.Modified) || !maps.Equal(o.Header, first.Header) {
					t.Errorf("again: %+v, %v; the first was %+v", o, err, first)
				}
				if now, err := r.Stat(t.Context(), keyOf("x")); now.Stamp != before.Stamp || (err == nil) != (beforeErr == nil) {
					t.Errorf("it changed the object: %+v, %v", now, err)
				}
				other := completeOf("x", id, parts[0])
				if _, err := r.CompleteUpload(t.Context(), other); !errors.Is(err, ErrNoUpload) {
					t.Errorf("with another ETag: %v", err)
				}
				r.wantNoUpload("x", id)
				r.away(UploadAge - time.Minute)
				if _, err := again(); err != nil {
					t.Errorf("just before %v: %v", UploadAge, err)
				}
				r.pass(2 * time.Minute)
				if _, err := again(); !errors.Is(err, ErrNoUpload) {
					t.Errorf("after %v: %v", UploadAge, err)
				}
				must(t, r.put("another", nil)) // the newest record is never settled
				must(t, r.Flush(t.Context()))
				r.pass(soon)
				r.away(0)
				r.pass(time.Second)
				pid, err := parseUpload(id)
				must(t, err)
				if _, err := r.idx.UploadDone(pid); !errors.Is(err, cairn.ErrNotExist) {
					t.Errorf("it is remembered for ever: %v", err)
				}
			})
		})
	}
}

// Uploads that nobody completes end by themselves after UploadAge, and not
// before, restarts or not.
func TestUploadsExpire(t *testing.T) {
	t.Parallel()
	for i, restart := range []bool{false, true} {
		if !race.Few(i, 2, 1) {
			continue
		}
		simulated(t, 3, settled, func(t *testing.T, r *rig) {
			data := content(1, tinyPack+tinySmall+1)
			old := r.begin("old")
			must(t, r.part("old", old, 1, data))
			more := make([]string, endsPerGroup+5)
			for i := range more {
				more[i] = r.begin("more")
			}
			must(t, r.Flush(t.Context()))
			r.away(24 * time.Hour)
			young := r.begin("young")
			must(t, r.part("young", young, 1, data))
			r.away(UploadAge - 24*time.Hour - time.Minute)
			r.wantParts("old", old, map[int][]byte{1: data})
			if restart { // it is looked for at start
				r.away(2 * time.Minute)
				r.pass(time.Second)
			} else { // and by a store that runs
				r.pass(expireTick + 2*time.Minute)
			}
			r.wantNoUpload("old", old)
			r.wantNoUpload("more", more[0])
			r.wantNoUpload("more", more[len(more)-1])
			r.wantParts("young", young, map[int][]byte{1: data})
			_, err := r.complete("young", young, data)
			must(t, err)
			r.want("young", data)
		})
	}
}

// A bucket with uploads in progress can go, with them; one with an object keeps
// both. A bucket of the same name has none of them.
func TestABucketGoesWithItsUploads(t *testing.T) {
	simulated(t, 1, coded("1+0"), func(t *testing.T, r *rig) {
		ctx := t.Context()
		must(t, r.put("o", []byte("1")))
		ids := make([]string, endsPerGroup+3)
		for i := range ids {
			ids[i] = r.begin("x")
		}
		must(t, r.part("x", ids[0], 1, content(1, 100_000)))
		if err := r.DeleteBucket(ctx, "bbb"); !errors.Is(err, ErrBucketNotEmpty) {
			t.Fatalf("with an object: %v", err)
		}
		r.wantParts("x", ids[0], map[int][]byte{1: content(1, 100_000)})
		must(t, r.Delete(ctx, keyOf("o"), Condition{}))
		must(t, r.DeleteBucket(ctx, "bbb"))
		if _, err := r.Upload(ctx, keyOf("x"), ids[0]); !errors.Is(err, ErrNoBucket) {
			t.Errorf("upload of a bucket that is gone: %v", err)
		}
		must(t, r.CreateBucket(ctx, "bbb"))
		r.wantNoUpload("x", ids[0])
		r.wantNoUpload("x", ids[len(ids)-1])
		r.reopen()
		r.wantNoUpload("x", ids[0])
		for u, err := range r.idx.AllUploads() {
			t.Fatalf("upload %v is left, %v", u.ID, err)
		}
	})
}

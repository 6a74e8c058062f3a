package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
)

// An object is its parts in order, of whatever sizes they are, in whatever order
// they came and however often, and stays so wherever its bytes lie.
func TestAnUploadBecomesItsParts(t *testing.T) {
	t.Parallel()
	for what, sizes := range map[string][]int{
		"one":            {5000},
		"one, empty":     {0},
		"empty ones":     {0, 10, 0, 0, 65536, 0},
		"small ones":     {1, 65535, 65536, 3, 40_000},
		"packs and more": {tinySmall + 1, tinyPack, 2*tinyPack + 7, tinySmall, 100, 3 * tinyPack},
	} {
		t.Run(what, func(t *testing.T) {
			simulated(t, 4, func(c *Config) { c.Coding, c.Settle = "2+2", releaseTick }, func(t *testing.T, r *rig) {
				u, err := r.CreateUpload(t.Context(), Upload{Key: keyOf("x"), Header: map[string]string{"Content-Type": "a/b"}, Meta: map[string]string{"m": "1"}})
				must(t, err)
				parts := make([][]byte, len(sizes))
				at := make(map[int][]byte)
				for i := range sizes {
					i = len(sizes) - 1 - i
					parts[i] = content(uint64(i), sizes[i])
					must(t, r.part("x", u.ID, i+1, content(uint64(100+i), sizes[i]/2+70_000)))
					must(t, r.part("x", u.ID, i+1, parts[i]))
					at[i+1] = parts[i]
				}
				must(t, r.part("x", u.ID, MaxParts, []byte("not taken")))
				at[MaxParts] = []byte("not taken")
				r.wantErr("x", cairn.ErrNotExist)
				r.crash(0, 1)
				r.open()
				r.wantParts("x", u.ID, at)
				o, err := r.complete("x", u.ID, parts...)
				must(t, err)
				all := bytes.Join(parts, nil)
				if o.Size != int64(len(all)) || o.ETag != partsTag(parts...) || o.Meta["m"] != "1" || len(o.Checksum) != 1 {
					t.Errorf("the answer is %+v", o)
				}
				check := func(when string) {
					t.Helper()
					r.want("x", all)
					r.wantNoUpload("x", u.ID)
					o, src, err := r.Open(t.Context(), keyOf("x"))
					must(t, err)
					defer src.Close()
					wantSizes := make([]int64, len(sizes))
					for i, n := range sizes {
						wantSizes[i] = int64(n)
					}
					if !slices.Equal(o.Parts, wantSizes) || o.Header["Content-Type"] != "a/b" || o.Meta["m"] != "1" {
						t.Errorf("%s: it is %+v", when, o)
					}
					for off := 0; off < len(all); off += 1 + len(all)/7 {
						n := min(len(all)-off, 1+len(all)/3)
						got, err := readRange(t.Context(), src, int64(off), int64(n))
						if err != nil || !bytes.Equal(got, all[off:off+n]) {
							t.Errorf("%s: %d bytes at %d: %v", when, n, off, err)
						}
					}
				}
				check("at once")
				r.crash(0, 2)
				r.open()
				check("after power loss")
				must(t, r.Flush(t.Context()))
				r.pass(soon)
				if n := len(stageFiles(t, r.fs)); n != 0 {
					t.Errorf("%d stages are left: %v", n, r.phases())
				}
				check("released")
				r.lostIndex(t)
				check("from the nodes alone")
			})
		})
	}
}

// Whoever names an upload that is none is told so, whatever is wrong with the
// name; nothing of a refused call is left.
func TestUploadsThatAreNone(t *testing.T) {
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		ctx := t.Context()
		must(t, r.CreateBucket(ctx, "other"))
		id := r.begin("x")
		must(t, r.part("x", id, 1, content(1, 100)))
		for what, c := range map[string]struct {
			key   cairn.Key
			id    string
			class error
		}{
			"empty":          {keyOf("x"), "", ErrNoUpload},
			"short":          {keyOf("x"), id[:31], ErrNoUpload},
			"long":           {keyOf("x"), id + "0", ErrNoUpload},
			"not hex":        {keyOf("x"), "z" + id[1:], ErrNoUpload},
			"upper case":     {keyOf("x"), "ABCDEF" + id[6:], ErrNoUpload},
			"never given":    {keyOf("x"), "00000000000000000000000000000000", ErrNoUpload},
			"another key":    {keyOf("y"), id, ErrNoUpload},
			"another bucket": {cairn.Key{Bucket: "other", Object: "x"}, id, ErrNoUpload},
			"no bucket":      {cairn.Key{Bucket: "none", Object: "x"}, id, ErrNoBucket},
			"no key":         {keyOf(""), id, cairn.ErrInvalid},
		} {
			_, stat := r.Upload(ctx, c.key, c.id)
			_, parts := r.Parts(ctx, c.key, c.id, 0, 100)
			put := partPut("x", c.id, 2, content(2, tinyPack+tinySmall+9))
			put.Key = c.key
			_, part := r.PutPart(ctx, put)
			done := completeOf("x", c.id, content(1, 100))
			done.Key = c.key
			_, complete := r.CompleteUpload(ctx, done)
			abort := r.AbortUpload(ctx, c.key, c.id)
			for i, err := range []error{stat, parts, part, complete, abort} {
				if !errors.Is(err, c.class) {
					t.Errorf("%s: verb %d: %v, want %v", what, i, err, c.class)
				}
			}
		}
		r.nothingLeft(t, "refused")
		r.wantParts("x", id, map[int][]byte{1: content(1, 100)})
		for _, u := range []Upload{{Key: keyOf("")}, {Key: cairn.Key{Bucket: "none", Object: "x"}}, {Key: keyOf("x"), Meta: map[string]string{"m": string(make([]byte, 9000))}}} {
			if u, err := r.CreateUpload(ctx, u); err == nil {
				t.Errorf("an upload of %v was begun", u.Key)
			}
		}
	})
}

// What a part or a completion must be is checked, and a refused completion
// leaves the upload as it was.
func TestWhatPartsAndCompletionsMustBe(t *testing.T) {
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		ctx, one, three := t.Context(), content(1, 100), content(3, tinyPack+3)
		id := r.begin("x")
		must(t, r.part("x", id, 1, one))
		must(t, r.part("x", id, 3, three))
		for _, n := range []int{-1, 0, MaxParts + 1, 1 << 16} {
			if err := r.part("x", id, n, one); !errors.Is(err, cairn.ErrInvalid) {
				t.Errorf("part %d: %v", n, err)
			}
		}
		bad := partPut("x", id, 3, one)
		bad.Digest = func() (Digest, error) { return Digest{}, cairn.ErrInvalid }
		if _, err := r.PutPart(ctx, bad); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("a part of a wrong digest: %v", err)
		}
		good := func() CompleteUpload { return completeNumbers("x", id, []int{1, 3}, one, three) }
		for what, c := range map[string]struct {
			change func(*CompleteUpload)
			class  error
		}{
			"no part":             {func(c *CompleteUpload) { c.Numbers = nil }, cairn.ErrInvalid},
			"falling":             {func(c *CompleteUpload) { c.Numbers = []int{3, 1} }, cairn.ErrInvalid},
			"twice":               {func(c *CompleteUpload) { c.Numbers = []int{1, 1} }, cairn.ErrInvalid},
			"part 0":              {func(c *CompleteUpload) { c.Numbers = []int{0} }, cairn.ErrInvalid},
			"part 10001":          {func(c *CompleteUpload) { c.Numbers = []int{1, 10001} }, cairn.ErrInvalid},
			"a part not sent":     {func(c *CompleteUpload) { c.Numbers = []int{1, 2, 3} }, ErrNoPart},
			"refused by Decide":   {func(c *CompleteUpload) { c.Decide = func([]Part) (Digest, error) { return Digest{}, cairn.ErrDenied } }, cairn.ErrDenied},
			"another ETag":        {func(c *CompleteUpload) { c.ETag = "other-2" }, cairn.ErrInvalid},
			"if it is there":      {func(c *CompleteUpload) { c.If.Match = []string{"*"} }, cairn.ErrNotExist},
			"if it is of an ETag": {func(c *CompleteUpload) { c.If.Match = []string{"x"} }, cairn.ErrNotExist},
		} {
			cu := good()
			c.change(&cu)
			_, err := r.CompleteUpload(ctx, cu)
			if !errors.Is(err, c.class) {
				t.Errorf("%s: %v, want %v", what, err, c.class)
			}
			if c.class == ErrNoPart && (err == nil || !bytes.Contains([]byte(err.Error()), []byte("part 2 "))) {
				t.Errorf("%s: %v does not name it", what, err)
			}
			r.wantErr("x", cairn.ErrNotExist)
			r.wantParts("x", id, map[int][]byte{1: one, 3: three})
		}
		must(t, r.put("x", one))
		not := good()
		not.If.NoneMatch = []string{"*"}
		if _, err := r.CompleteUpload(ctx, not); !errors.Is(err, cairn.ErrPrecondition) {
			t.Errorf("if it is not there: %v", err)
		}
		r.want("x", one)
		r.wantParts("x", id, map[int][]byte{1: one, 3: three})
		_, err := r.CompleteUpload(ctx, good())
		must(t, err)
		r.want("x", slices.Concat(one, three))
	})
}

// Parts and uploads are listed page by page, and all of them once.
func TestListsOfUploads(t *testing.T) {
	simulated(t, 1, coded("1+0"), func(t *testing.T, r *rig) {
		ctx := t.Context()
		var ids []string
		for i := range 7 {
			ids = append(ids, r.begin(fmt.Sprint("k/", i/3)))
		}
		for n := range 5 {
			must(t, r.part("k/0", ids[0], 2*n+1, content(uint64(n), n)))
		}
		var numbers []int
		for after, more := 0, true; more; {
			list, err := r.Parts(ctx, keyOf("k/0"), ids[0], after, 2)
			must(t, err)
			if list.Upload.ID != ids[0] || len(list.Parts) == 0 {
				t.Fatalf("page after %d is %+v", after, list)
			}
			for _, p := range list.Parts {
				numbers = append(numbers, p.Number)
			}
			after, more = numbers[len(numbers)-1], list.More
		}
		if !slices.Equal(numbers, []int{1, 3, 5, 7, 9}) {
			t.Errorf("parts %v are listed", numbers)
		}
		var listed []string
		req := UploadsRequest{Bucket: "bbb", Max: 2}
		for more := true; more; {
			page, err := r.Uploads(ctx, req)
			must(t, err)
			for _, u := range page.Uploads {
				listed = append(listed, u.ID)
				if u.Created.IsZero() || u.Key.Bucket != "bbb" {
					t.Errorf("listed as %+v", u)
				}
			}
			req.AfterKey, req.AfterUpload, more = page.NextKey, page.NextUpload, page.More
		}
		if !slices.Equal(listed, ids) {
			t.Errorf("uploads %v are listed, want %v", listed, ids)
		}
		page, err := r.Uploads(ctx, UploadsRequest{Bucket: "bbb", Delimiter: "/", Max: 10})
		if err != nil || !slices.Equal(page.Prefixes, []string{"k/"}) || len(page.Uploads) != 0 {
			t.Errorf("by delimiter: %+v, %v", page, err)
		}
		if _, err := r.Uploads(ctx, UploadsRequest{Bucket: "bbb", AfterKey: "k", AfterUpload: "x", Max: 1}); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("after an id that is none: %v", err)
		}
		if _, err := r.Uploads(ctx, UploadsRequest{Bucket: "none", Max: 1}); !errors.Is(err, ErrNoBucket) {
			t.Errorf("of no bucket: %v", err)
		}
	})
}

package store

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
)

// kinds calls f with a store whose x is an object, of each kind in turn, and with
// its bytes.
func kinds(t *testing.T, f func(*testing.T, *rig, []byte)) {
	for what, make := range map[string]func(*rig) []byte{
		"empty": func(r *rig) []byte { must(r.tb, r.put("x", nil)); return nil },
		"small": func(r *rig) []byte { must(r.tb, r.put("x", content(1, 100))); return content(1, 100) },
		"large": func(r *rig) []byte {
			must(r.tb, r.put("x", content(1, 2*tinyPack+9)))
			return content(1, 2*tinyPack+9)
		},
		"of parts": func(r *rig) []byte {
			id := r.begin("x")
			parts := [][]byte{content(1, 70_000), nil, content(3, 5)}
			for i, p := range parts {
				must(r.tb, r.part("x", id, i+1, p))
			}
			_, err := r.complete("x", id, parts...)
			must(r.tb, err)
			return slices.Concat(parts...)
		},
		"of a long list of parts": func(r *rig) []byte {
			id, unit := r.partsOfOne(60)
			c := CompleteUpload{Key: keyOf("x"), Upload: id, ETag: "all-60"}
			var all []byte
			for i := range 60 {
				c.Numbers, all = append(c.Numbers, i+1), append(all, unit...)
			}
			_, err := r.CompleteUpload(r.tb.Context(), c)
			must(r.tb, err)
			return all
		},
	} {
		t.Run(what, func(t *testing.T) {
			simulated(t, 2, settled, func(t *testing.T, r *rig) { f(t, r, make(r)) })
		})
	}
}

// Tags are replaced and dropped, and nothing else of the object changes.
func TestTagsChangeNothingElse(t *testing.T) {
	t.Parallel()
	kinds(t, func(t *testing.T, r *rig, data []byte) {
		ctx := t.Context()
		was, err := r.Stat(ctx, keyOf("x"))
		must(t, err)
		check := func(when, tags string) {
			t.Helper()
			o, err := r.Stat(ctx, keyOf("x"))
			must(t, err)
			rest := maps.Clone(o.Header)
			delete(rest, TagsHeader)
			if o.Header[TagsHeader] != tags || !maps.Equal(rest, was.Header) || !maps.Equal(o.Meta, was.Meta) || o.ETag != was.ETag ||
				!o.Modified.Equal(was.Modified) || !slices.Equal(o.Parts, was.Parts) || o.Size != was.Size || !slices.Equal(o.Checksum, was.Checksum) {
				t.Errorf("%s: it is %+v, was %+v", when, o, was)
			}
			if _, has := o.Header[TagsHeader]; has != (tags != "") {
				t.Errorf("%s: tags are there: %v", when, has)
			}
			r.want("x", data)
		}
		r.pass(5 * time.Second)
		must(t, r.SetTags(ctx, keyOf("x"), "a=b&c=d"))
		check("set", "a=b&c=d")
		must(t, r.SetTags(ctx, keyOf("x"), "e=f"))
		check("replaced", "e=f")
		r.crash(0, 1)
		r.open()
		check("after power loss", "e=f")
		must(t, r.Flush(ctx))
		r.pass(soon)
		r.lostIndex(t)
		check("from the nodes alone", "e=f")
		must(t, r.SetTags(ctx, keyOf("x"), ""))
		check("dropped", "")
		must(t, r.SetTags(ctx, keyOf("x"), ""))
		check("dropped again", "")
		must(t, r.SetTags(ctx, keyOf("x"), strings.Repeat("t", 8<<10)))
		for what, c := range map[string]struct {
			k     cairn.Key
			tags  string
			class error
		}{
			"too long":  {keyOf("x"), strings.Repeat("t", 8<<10+1), cairn.ErrInvalid},
			"no object": {keyOf("none"), "a=b", cairn.ErrNotExist},
			"no bucket": {cairn.Key{Bucket: "none", Object: "x"}, "a=b", ErrNoBucket},
			"no key":    {keyOf(""), "a=b", cairn.ErrInvalid},
		} {
			if err := r.SetTags(ctx, c.k, c.tags); !errors.Is(err, c.class) {
				t.Errorf("%s: %v", what, err)
			}
		}
		check("refused", strings.Repeat("t", 8<<10))
	})
}

// A copy keeps the source's tags unless it is told others, whether it replaces
// the headers or not; it stays of parts, and may be made onto itself.
func TestCopiesAndTags(t *testing.T) {
	t.Parallel()
	kinds(t, func(t *testing.T, r *rig, data []byte) {
		ctx := t.Context()
		must(t, r.SetTags(ctx, keyOf("x"), "a=b"))
		was, err := r.Stat(ctx, keyOf("x"))
		must(t, err)
		none, other := "", "c=d"
		for what, c := range map[string]struct {
			Copy
			tags string
			meta string
		}{
			"as it is":                 {Copy{}, "a=b", ""},
			"other tags":               {Copy{Tags: &other}, "c=d", ""},
			"no tags":                  {Copy{Tags: &none}, "", ""},
			"headers replaced":         {Copy{Replace: true, Meta: map[string]string{"m": "1"}}, "a=b", "1"},
			"headers and tags":         {Copy{Replace: true, Meta: map[string]string{"m": "1"}, Tags: &other}, "c=d", "1"},
			"headers, no tags":         {Copy{Replace: true, Meta: map[string]string{"m": "1"}, Tags: &none}, "", "1"},
			"tags in headers count no": {Copy{Replace: true, Header: map[string]string{TagsHeader: "x=y"}}, "a=b", ""},
		} {
			for _, to := range []string{"y", "x"} {
				c.From, c.To = keyOf("x"), keyOf(to)
				o, err := r.Copy(ctx, c.Copy)
				must(t, err)
				now, err := r.Stat(ctx, keyOf(to))
				must(t, err)
				for _, o := range []cairn.Object{o, now} {
					if o.Header[TagsHeader] != c.tags || o.Meta["m"] != c.meta || o.ETag != was.ETag || !slices.Equal(o.Parts, was.Parts) {
						t.Errorf("%s, to %s: %+v", what, to, o)
					}
				}
				r.want(to, data)
			}
			_, err := r.Copy(ctx, Copy{From: keyOf("x"), To: keyOf("x"), Replace: true, Header: was.Header, Meta: was.Meta, Tags: ptr("a=b")})
			must(t, err)
		}
		r.reopen()
		r.want("y", data)
	})
}

func ptr[T any](v T) *T { return &v }

// Check sees the source as it is when the copy is decided, and may refuse it.
func TestACopyIsCheckedWhenItIsDecided(t *testing.T) {
	simulated(t, 1, coded("1+0"), func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 10)))
		var seen []string
		c := Copy{From: keyOf("x"), To: keyOf("y"), Check: func(o cairn.Object) error {
			seen = append(seen, o.ETag)
			if o.Key != keyOf("x") || o.Modified.IsZero() || o.Size != 10 {
				t.Errorf("the source is %+v", o)
			}
			return nil
		}}
		_, err := r.Copy(t.Context(), c)
		must(t, err)
		if !slices.Equal(seen, []string{etag(content(1, 10))}) {
			t.Errorf("it saw %v", seen)
		}
		c.To, c.Check = keyOf("z"), func(cairn.Object) error { return cairn.ErrPrecondition }
		if _, err := r.Copy(t.Context(), c); !errors.Is(err, cairn.ErrPrecondition) {
			t.Errorf("refused: %v", err)
		}
		r.wantErr("z", cairn.ErrNotExist)
		c.Source = Condition{Match: []string{"other"}}
		c.Check = func(cairn.Object) error { t.Error("it is asked although the source does not match"); return nil }
		if _, err := r.Copy(t.Context(), c); !errors.Is(err, cairn.ErrPrecondition) {
			t.Errorf("not matched: %v", err)
		}
	})
}

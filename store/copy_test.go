package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/cairn-storage/cairn"
)

// A copy is another name of the same bytes, whatever becomes of the source: it
// survives its delete, that of its bucket, a copy of the copy, release, restart.
func TestACopyStandsOnItsOwn(t *testing.T) {
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		must(t, r.CreateBucket(t.Context(), "other"))
		for i, size := range []int{0, 100, tinySmall + 1, 2*tinyPack + 9} {
			data, name := content(uint64(i), size), fmt.Sprint("o", i)
			in := func(bucket string) cairn.Key { return cairn.Key{Bucket: bucket, Object: name} }
			p := putOf(name, data)
			p.Key, p.Header, p.Meta = in("other"), map[string]string{"Content-Type": "a/b"}, map[string]string{"m": "1"}
			first, err := r.Put(t.Context(), p)
			must(t, err)
			o, err := r.Copy(t.Context(), Copy{From: in("other"), To: in("bbb")})
			must(t, err)
			if o.ETag != first.ETag || o.Size != first.Size || !maps.Equal(o.Header, p.Header) || !maps.Equal(o.Meta, p.Meta) || o.Stamp.Compare(first.Stamp) <= 0 {
				t.Errorf("%d bytes: the copy is %+v of %+v", size, o, first)
			}
			if i%2 == 0 {
				must(t, r.Flush(t.Context()))
			}
			must(t, r.Delete(t.Context(), in("other"), Condition{}))
			_, err = r.Copy(t.Context(), Copy{From: in("bbb"), To: keyOf("again" + name), Replace: true, Meta: map[string]string{"m": "2"}})
			must(t, err)
			must(t, r.Delete(t.Context(), in("bbb"), Condition{}))
			_, err = r.Copy(t.Context(), Copy{From: keyOf("again" + name), To: keyOf("again" + name)}) // onto itself
			must(t, err)
		}
		must(t, r.DeleteBucket(t.Context(), "other"))
		check := func(when string) {
			t.Helper()
			for i, size := range []int{0, 100, tinySmall + 1, 2*tinyPack + 9} {
				key := fmt.Sprint("againo", i)
				r.want(key, content(uint64(i), size))
				o, err := r.Stat(t.Context(), keyOf(key))
				if err != nil || o.Meta["m"] != "2" || len(o.Header) != 0 || o.ETag != etag(content(uint64(i), size)) {
					t.Errorf("%s: %s is %+v, %v", when, key, o, err)
				}
			}
		}
		check("at once")
		r.crash(0, 1)
		r.open()
		check("after power loss")
		must(t, r.Flush(t.Context()))
		r.pass(soon)
		check("released")
	})
}

// Conditions on source and destination hold a copy back, and what is not there
// is said to be not there.
func TestConditionsHoldACopyBack(t *testing.T) {
	simulated(t, 1, coded("1+0"), func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 10)))
		must(t, r.put("y", content(2, 10)))
		x, y := etag(content(1, 10)), etag(content(2, 10))
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for what, c := range map[string]struct {
			Copy
			ctx context.Context
			err error
		}{
			"no condition":                  {Copy: Copy{}},
			"source matches":                {Copy: Copy{Source: Condition{Match: []string{y, x}}}},
			"source does not match":         {Copy: Copy{Source: Condition{Match: []string{y}}}, err: cairn.ErrPrecondition},
			"source must not match":         {Copy: Copy{Source: Condition{NoneMatch: []string{x}}}, err: cairn.ErrPrecondition},
			"destination must not be there": {Copy: Copy{If: Condition{NoneMatch: []string{"*"}}}, err: cairn.ErrPrecondition},
			"destination matches":           {Copy: Copy{If: Condition{Match: []string{y}}}},
			"destination does not match":    {Copy: Copy{If: Condition{Match: []string{x}}}, err: cairn.ErrPrecondition},
			"destination matches anything":  {Copy: Copy{To: keyOf("new"), If: Condition{Match: []string{"*"}}}, err: cairn.ErrNotExist},
			"no source":                     {Copy: Copy{From: keyOf("none")}, err: cairn.ErrNotExist},
			"no source bucket":              {Copy: Copy{From: cairn.Key{Bucket: "none", Object: "x"}}, err: ErrNoBucket},
			"no destination bucket":         {Copy: Copy{To: cairn.Key{Bucket: "none", Object: "x"}}, err: ErrNoBucket},
			"a bad key":                     {Copy: Copy{To: keyOf("")}, err: cairn.ErrInvalid},
			"headers too long":              {Copy: Copy{Replace: true, Meta: map[string]string{"m": string(make([]byte, 9000))}}, err: cairn.ErrInvalid},
			"its context ended":             {Copy: Copy{}, ctx: ended, err: cairn.ErrUnavailable},
		} {
			if c.From == (cairn.Key{}) {
				c.From = keyOf("x")
			}
			if c.To == (cairn.Key{}) {
				c.To = keyOf("y")
			}
			ctx := t.Context()
			if c.ctx != nil {
				ctx = c.ctx
			}
			if _, err := r.Copy(ctx, c.Copy); !errors.Is(err, c.err) {
				t.Errorf("%s: %v, want %v", what, err, c.err)
			} else if err == nil {
				r.want("y", content(1, 10))
			}
			must(t, r.put("y", content(2, 10)))
			r.want("x", content(1, 10))
		}
	})
}

package index

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn/pack"
	"github.com/cockroachdb/pebble/v2"
)

// listed is what S3 says a listing is, worked out over all keys.
func listed(keys []string, prefix, delimiter, after string) (names []string) {
	seen := map[string]bool{}
	for _, k := range keys {
		if !strings.HasPrefix(k, prefix) {
			continue
		}
		name := k
		if delimiter != "" {
			if i := strings.Index(k[len(prefix):], delimiter); i >= 0 {
				name = "P" + k[:len(prefix)+i+len(delimiter)]
			}
		}
		if strings.TrimPrefix(name, "P") > after || !strings.HasPrefix(name, "P") && name > after {
			seen[name] = true
		}
	}
	for n := range seen {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		return strings.Compare(strings.TrimPrefix(a, "P"), strings.TrimPrefix(b, "P"))
	})
	return names
}

// paged lists page by page, checking each page's shape.
func paged(t testing.TB, x *Index, prefix, delimiter, after string, max int) (names []string) {
	t.Helper()
	for pages := 0; ; pages++ {
		entries, prefixes, next, more, err := x.List(1, prefix, delimiter, after, max)
		must(t, err)
		if n := len(entries) + len(prefixes); n > max || more && n < max || pages > 10_000 {
			t.Fatalf("page of %d entries, at most %d, more = %v", n, max, more)
		}
		var page []string
		for _, e := range entries {
			page = append(page, e.Key)
		}
		for _, p := range prefixes {
			page = append(page, "P"+p)
		}
		slices.SortFunc(page, func(a, b string) int {
			return strings.Compare(strings.TrimPrefix(a, "P"), strings.TrimPrefix(b, "P"))
		})
		if len(page) > 0 && strings.TrimPrefix(page[len(page)-1], "P") != next {
			t.Fatalf("next is %q after %q", next, page)
		}
		names = append(names, page...)
		if !more {
			return names
		}
		after = next
	}
}

// putKeys puts keys, none of which may begin with P: that marks prefixes here.
func putKeys(t testing.TB, x *Index, keys []string) {
	t.Helper()
	var changes []Change
	for i, k := range keys {
		changes = append(changes, putRec(st(1, uint64(i+1)), k, "A"))
	}
	must(t, x.Apply(changes))
}

func TestListIsWhatS3Says(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	word := func(n int) string {
		b := make([]byte, rng.IntN(n))
		for i := range b {
			b[i] = "ab/-\x00\xf4"[rng.IntN(6)]
		}
		return string(b)
	}
	for range 8 {
		x := fresh(t)
		keys := map[string]bool{}
		for range 120 {
			keys["k"+word(7)] = true
		}
		var all []string
		for k := range keys {
			all = append(all, k)
		}
		slices.Sort(all)
		putKeys(t, x, all)
		// Neighbours that must not show: another bucket, a deleted key.
		must(t, x.Apply([]Change{
			rec(st(2, 1), pack.Put{Bucket: 2, Key: "k/other"}), rec(st(2, 2), pack.Put{Bucket: 0, Key: "z"}),
			putRec(st(2, 3), "k/gone", "A"), delRec(st(2, 4), "k/gone"),
		}))
		if i, found := slices.BinarySearch(all, "k/gone"); found {
			all = slices.Delete(all, i, i+1)
		}
		for range 60 {
			prefix, after, max := "", "", 1+rng.IntN(9)
			if rng.IntN(3) > 0 {
				prefix = ("k" + word(4))
			}
			if rng.IntN(2) > 0 {
				after = "k" + word(5)
			}
			delimiter := []string{"", "/", "-", "a", "/a", "\xf4", "b/"}[rng.IntN(7)]
			got, want := paged(t, x, prefix, delimiter, after, max), listed(all, prefix, delimiter, after)
			if !slices.Equal(got, want) {
				t.Fatalf("prefix %q, delimiter %q, after %q, max %d:\n%q\nwant\n%q", prefix, delimiter, after, max, got, want)
			}
		}
		must(t, x.Close())
	}
}

func TestListCorners(t *testing.T) {
	x := fresh(t)
	putKeys(t, x, []string{"a", "a/", "a/b", "a/b/c", "a0", "b/x", "\xf4\x8f\xbf\xbf"})
	for _, c := range []struct {
		name                     string
		prefix, delimiter, after string
		max                      int
		keys, prefixes           []string
		more                     bool
	}{
		{"everything", "", "", "", 10, []string{"a", "a/", "a/b", "a/b/c", "a0", "b/x", "\xf4\x8f\xbf\xbf"}, nil, false},
		{"folders", "", "/", "", 10, []string{"a", "a0", "\xf4\x8f\xbf\xbf"}, []string{"a/", "b/"}, false},
		{"the folder's own key is in it", "a/", "/", "", 10, []string{"a/", "a/b"}, []string{"a/b/"}, false},
		{"after a prefix is after all of it", "", "/", "a/", 10, []string{"a0", "\xf4\x8f\xbf\xbf"}, []string{"b/"}, false},
		{"after within a prefix leaves it out", "", "/", "a/b", 10, []string{"a0", "\xf4\x8f\xbf\xbf"}, []string{"b/"}, false},
		{"exactly full is not more", "a/", "/", "", 3, []string{"a/", "a/b"}, []string{"a/b/"}, false},
		{"one less is more", "a/", "/", "", 2, []string{"a/", "a/b"}, nil, true},
		{"max 0 is nothing", "", "", "", 0, nil, nil, false},
		{"a prefix no key can have", "\xff\xff", "", "", 10, nil, nil, false},
		{"after the end", "", "", "\xff", 10, nil, nil, false},
		{"after beyond the prefix", "a/", "", "b", 10, nil, nil, false},
		{"after before the prefix", "b/", "", "a", 10, []string{"b/x"}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			entries, prefixes, _, more, err := x.List(1, c.prefix, c.delimiter, c.after, c.max)
			must(t, err)
			var keys []string
			for _, e := range entries {
				keys = append(keys, e.Key)
			}
			if !slices.Equal(keys, c.keys) || !slices.Equal(prefixes, c.prefixes) || more != c.more {
				t.Errorf("%q, %q, more = %v", keys, prefixes, more)
			}
		})
	}
}

func FuzzList(f *testing.F) {
	f.Add("a\na/b\nb", "", "/", "", uint8(2))
	f.Add("k\nk/\nk//", "k", "//", "k/", uint8(1))
	f.Fuzz(func(t *testing.T, lines, prefix, delimiter, after string, max uint8) {
		keys := strings.Split(lines, "\n")
		keys = slices.DeleteFunc(keys, func(k string) bool { return k == "" || len(k) > 100 })
		for i := range keys {
			keys[i] = "k" + keys[i]
		}
		slices.Sort(keys)
		keys = slices.Compact(keys)
		if len(keys) == 0 || len(keys) > 50 || len(prefix) > 100 {
			t.Skip()
		}
		if prefix != "" {
			prefix = "k" + prefix
		}
		x := fresh(t)
		putKeys(t, x, keys)
		got, want := paged(t, x, prefix, delimiter, after, int(max)+1), listed(keys, prefix, delimiter, after)
		if !slices.Equal(got, want) {
			t.Fatalf("%q\nwant\n%q", got, want)
		}
		must(t, x.Close())
	})
}

// A page costs what it shows, in a bucket of 200,000 keys as in one of 2,000,
// and however many keys hide behind its common prefixes.
func TestPageCostIsFlat(t *testing.T) {
	x := fresh(t)
	const folders, files = 200, 1000
	b := x.db.NewBatch()
	where, _ := encodeWhere(nil, nil)
	f := fact{version: st(1, 1), record: st(1, 1), kind: put, head: encodeHead(pack.Put{ETag: "e"}), where: where}
	row := f.liveRow() // as Apply writes it; 200,000 applied would take a minute with -race
	for i := range folders {
		for j := range files {
			must(t, b.Set(plainKey(tableLive, objectKey{1, fmt.Sprintf("f%03d/%04d", i, j)}), row, nil))
		}
	}
	must(t, b.Commit(pebble.NoSync))
	x.flow.wrote(1)
	must(t, x.Flush())
	steps := func(p page) int {
		must(t, p.read(x.db))
		s, i := p.stats, pebble.InternalIterCall
		return s.ForwardSeekCount[i] + s.ForwardStepCount[i] + s.ReverseSeekCount[i] + s.ReverseStepCount[i]
	}
	for _, after := range []string{"", "f100/0500", "f199/0000"} {
		if n := steps(page{bucket: 1, prefix: "f", after: after, max: 100}); n > 2*100+20 {
			t.Errorf("100 keys after %q cost %d steps", after, n)
		}
	}
	p := page{bucket: 1, delimiter: "/", max: 1000}
	if n := steps(p); n > 4*folders+20 {
		t.Errorf("%d common prefixes over %d keys cost %d steps", folders, folders*files, n)
	}
	must(t, p.read(x.db))
	if len(p.prefixes) != folders {
		t.Errorf("%d common prefixes, want %d", len(p.prefixes), folders)
	}
}

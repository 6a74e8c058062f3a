package index

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// uploadsModel is what uploads are, worked out naively from records in order.
type uploadsModel struct {
	begun map[byte]pack.Record
	parts map[byte]map[uint16]pack.Record
	ended map[byte]bool
	done  map[byte]pack.Record
}

func (m *uploadsModel) apply(r pack.Record) {
	if m.begun == nil {
		*m = uploadsModel{map[byte]pack.Record{}, map[byte]map[uint16]pack.Record{}, map[byte]bool{}, map[byte]pack.Record{}}
	}
	switch b := r.Body.(type) {
	case pack.Upload:
		m.begun[b.ID[0]] = r
	case pack.UploadPart:
		if m.parts[b.Upload[0]] == nil {
			m.parts[b.Upload[0]] = map[uint16]pack.Record{}
		}
		m.parts[b.Upload[0]][b.Number] = r
	case pack.UploadDone:
		m.ended[b.Upload[0]] = true
		m.done[b.Upload[0]] = r
	case pack.UploadGone:
		m.ended[b.Upload[0]] = true
	}
}

// refs are those of parts, as model sorts them.
func (m *uploadsModel) refs() (lines []string) {
	for id, parts := range m.parts {
		for n, r := range parts {
			for _, p := range names(packsOf(r.Body.(pack.UploadPart).Parts, nil)) {
				if !m.ended[id] {
					lines = append(lines, fmt.Sprintf("ref %c: %05d %05d upload %x part %d %v\n", p, r.Stamp.Life, r.Stamp.LSN, id, n, r.Stamp))
				}
			}
		}
	}
	return lines
}

// String is what observeUploads must tell.
func (m *uploadsModel) String() string {
	var b strings.Builder
	for id := byte(1); id <= uploads; id++ {
		if r, ok := m.begun[id]; ok && !m.ended[id] {
			fmt.Fprintf(&b, "upload %d %v of %s\n", id, r.Stamp, r.Body.(pack.Upload).Key)
			for _, n := range slices.Sorted(maps.Keys(m.parts[id])) {
				r := m.parts[id][n]
				p := r.Body.(pack.UploadPart)
				fmt.Fprintf(&b, "  part %d %v of %d in %s\n", n, r.Stamp, p.Size, names(packsOf(p.Parts, nil)))
			}
		}
		if r, ok := m.done[id]; ok {
			fmt.Fprintf(&b, "upload %d became %s %v\n", id, r.Body.(pack.UploadDone).Put.Key, r.Stamp)
		}
	}
	return b.String()
}

// observeUploads tells all that can be asked of x about uploads, each thing
// asked in every way there is.
func observeUploads(t testing.TB, x *Index) string {
	t.Helper()
	var b strings.Builder
	var seen []Upload
	for id := byte(1); id <= uploads; id++ {
		u, err := x.Upload(uid(id))
		parts, more, e := x.UploadParts(uid(id), 0, 1<<20)
		must(t, e)
		if more || err != nil && (!errors.Is(err, cairn.ErrNotExist) || len(parts) > 0) {
			t.Fatalf("upload %d: %v, %d parts, more = %v", id, err, len(parts), more)
		}
		if err == nil {
			if u.Bucket != 1 || u.Created != u.Stamp.LSN || u.Algorithm != "CRC32" || u.Meta["k"] != u.Key {
				t.Fatalf("upload %d is %+v", id, u)
			}
			fmt.Fprintf(&b, "upload %d %v of %s\n", id, u.Stamp, u.Key)
			seen = append(seen, u)
		}
		for i, p := range parts {
			full, err := x.UploadPart(uid(id), p.Number)
			must(t, err)
			fmt.Fprintf(&b, "  part %d %v of %d in %s\n", p.Number, p.Stamp, p.Size, names(packsOf(full.Parts, full.List)))
			full.Parts, full.List = nil, nil
			if fmt.Sprint(full) != fmt.Sprint(p) || p.ETag != "e"+p.Stamp.String() || p.Checksum[0].Value != p.Stamp.String() {
				t.Fatalf("listed part %+v, part %+v", p, full)
			}
			next, more, err := x.UploadParts(uid(id), p.Number-1, 1)
			must(t, err)
			if len(next) != 1 || next[0].Stamp != p.Stamp || more != (i+1 < len(parts)) {
				t.Fatalf("the part after %d is %+v, more = %v", p.Number-1, next, more)
			}
		}
		v, err := x.UploadDone(uid(id))
		if err == nil {
			fmt.Fprintf(&b, "upload %d became %s %v\n", id, v.Put.Key, v.Stamp)
		}
		if err == nil && (v.Put.ETag != "e"+v.Stamp.String() || v.Put.Parts != nil) || err != nil && !errors.Is(err, cairn.ErrNotExist) {
			t.Fatalf("upload %d became %+v, %v", id, v, err)
		}
	}
	slices.SortFunc(seen, func(a, b Upload) int {
		if c := strings.Compare(a.Key, b.Key); c != 0 {
			return c
		}
		return a.Stamp.Compare(b.Stamp)
	})
	var all []Upload
	for u, err := range x.AllUploads() {
		must(t, err)
		all = append(all, u)
	}
	page, err := x.Uploads(1, "", "", "", pack.UploadID{}, 1<<20)
	must(t, err)
	any, err := x.BucketUploads(1)
	must(t, err)
	if fmt.Sprint(all) != fmt.Sprint(seen) || any != (len(seen) > 0) {
		t.Fatalf("all are %v, any = %v, want %v", all, any, seen)
	}
	for i := range seen {
		seen[i].Meta = nil
	}
	if fmt.Sprint(page.Uploads) != fmt.Sprint(seen) || page.More || page.Prefixes != nil {
		t.Fatalf("listed are %+v, want %v", page, seen)
	}
	return b.String()
}

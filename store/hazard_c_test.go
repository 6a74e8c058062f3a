package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store/stage"
)

// assemble makes key n times the bytes of another object, part by part, as a
// multipart upload would.
func (r *rig) assemble(key string, n int, of string) error {
	v, err := r.version(keyOf(of))
	if err != nil {
		return err
	}
	var parts []pack.Part
	for range n {
		parts = append(parts, v.Put.Parts...)
	}
	o := &op{recs: recordBase + pack.InlineExtents + len(key), bytes: roomForList(parts), build: func(t *txn) error {
		b, err := t.bucket("bbb")
		if err != nil {
			return err
		}
		rec := pack.Put{Bucket: b.ID, Key: key, Size: uint64(n) * v.Put.Size, ETag: "parts"}
		_, err = t.version(rec, parts)
		return err
	}}
	defer r.com.begin()()
	return r.com.submit(r.tb.Context(), o)
}

// The list of a huge object's extents passes what a record carries and is
// stored as frames: it survives a restart, release, loss of the index, and is
// written anew for a copy. At the limit it is still in the record.
func TestHazardC3(t *testing.T) {
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		unit := content(1, 700)
		must(t, r.put("unit", unit))
		sizes := []int{1, 98, 99, 100, 101, 300}
		for _, n := range sizes {
			must(t, r.assemble(fmt.Sprint("o", n), n, "unit"))
		}
		_, err := r.Copy(t.Context(), Copy{From: keyOf("o300"), To: keyOf("copy")})
		must(t, err)
		if os.Getenv("CAIRN_LONG") != "" {
			must(t, r.put("real", content(2, 45<<20)))
			sizes = append(sizes, 0)
		}
		inline, apart := 0, 0
		check := func(when string) {
			t.Helper()
			for _, n := range sizes {
				if n == 0 {
					r.want("real", content(2, 45<<20))
					continue
				}
				got, err := r.get(fmt.Sprint("o", n))
				if err != nil || !bytes.Equal(got, bytes.Repeat(unit, n)) {
					t.Errorf("%s: o%d: %d bytes, %v", when, n, len(got), err)
				}
				v, err := r.version(keyOf(fmt.Sprint("o", n)))
				must(t, err)
				if v.Put.List != nil {
					apart++
				} else {
					inline++
				}
			}
			r.want("copy", bytes.Repeat(unit, 300))
		}
		check("at once")
		if inline == 0 || apart == 0 {
			t.Fatalf("%d lists in records, %d apart: this test wants both", inline, apart)
		}
		r.crash(0, 1)
		r.open()
		check("after power loss")
		must(t, r.Delete(t.Context(), keyOf("o300"), Condition{}))
		must(t, r.assemble("o300", 300, "unit"))
		must(t, r.Flush(t.Context()))
		r.pass(soon)
		if n := len(stageFiles(t, r.fs)); n != 0 {
			t.Fatalf("%d stages are left", n)
		}
		check("released")
		r.close()
		must(t, index.Destroy(r.fs, indexDir()))
		r.open()
		check("index rebuilt")
	})
}

// A log pack is also full when its records are: contents stay bounded however
// small the objects.
func TestHazardC4(t *testing.T) {
	simulated(t, 2, func(c *Config) { c.Coding, c.PackSize = "1+1", 2<<20 }, func(t *testing.T, r *rig) {
		const most = 208 << 10 // of contents, as package pack says
		p := putOf("", []byte("tiny"))
		for i := range 260 {
			p.Key.Object = strings.Repeat(fmt.Sprintf("%04d", i), 250)
			p.Body = strings.NewReader("tiny")
			_, err := r.Put(t.Context(), p)
			must(t, err)
		}
		must(t, r.Flush(t.Context()))
		logs := 0
		for id, s := range r.survey() {
			if s.Kind == pack.Log {
				logs++
			}
			if s.Params.Contents > most {
				t.Errorf("contents of pack %v have %d bytes", id, s.Params.Contents)
			}
		}
		if logs != 2 {
			t.Errorf("%d log packs for 260 KiB of records, want 2", logs)
		}
	})
}

// A record of a kind that this release does not know: one that may be passed
// over is carried along, a critical one ends serving, and a restart refuses and
// leaves everything as it is.
func TestHazardC5(t *testing.T) {
	log := func(r *rig, critical bool) error {
		defer r.com.begin()()
		return r.com.submit(r.tb.Context(), &op{recs: 100, build: func(t *txn) error {
			return t.log(pack.Unknown{Of: 200, Critical: critical, Bytes: []byte("from a newer release")})
		}})
	}
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		must(t, log(r, false))
		must(t, r.put("x", content(1, 100)))
		carried := func() (n int) {
			for rec, err := range r.idx.Carried() {
				must(t, err)
				if u, ok := rec.Body.(pack.Unknown); ok && string(u.Bytes) == "from a newer release" {
					n++
				}
			}
			return n
		}
		r.crash(0, 1)
		r.open()
		if carried() != 1 {
			t.Error("a record that may be passed over is not carried along")
		}
		must(t, r.Flush(t.Context()))
		r.pass(soon)
		r.close()
		must(t, index.Destroy(r.fs, indexDir()))
		r.open()
		if carried() != 1 {
			t.Error("it is not in the packs")
		}
		if err := log(r, true); !errors.Is(err, cairn.ErrUnavailable) {
			t.Errorf("a critical record: %v", err)
		}
		for what, err := range map[string]error{"get": second(r.get("x")), "put": r.put("y", nil), "delete": r.Delete(t.Context(), keyOf("x"), Condition{}), "flush": r.Flush(t.Context())} {
			if !errors.Is(err, cairn.ErrUnavailable) {
				t.Errorf("%s after it: %v", what, err)
			}
		}
		r.pass(time.Hour / 2)
		before := stageFiles(t, r.fs)
		r.shut()
		if err := r.tryOpen(); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("restart: %v", err)
		}
		if now := stageFiles(t, r.fs); !slices.Equal(now, before) || len(now) == 0 {
			t.Errorf("stages %v became %v", before, now)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// A read that cannot go on ends with an error, never with a clean end.
func TestHazardC7(t *testing.T) {
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		const size = 40 * pack.FrameSize
		must(t, r.put("x", content(1, size)))
		must(t, r.Flush(t.Context()))
		r.pass(soon)
		for _, buffered := range []bool{false, true} {
			r.down(0)
			r.reopen() // an empty cache
			_, src, err := r.Open(t.Context(), keyOf("x"))
			must(t, err)
			rd, err := src.Range(t.Context(), 0, size)
			must(t, err)
			r.pass(0)
			r.down(3)
			var got bytes.Buffer
			if buffered {
				_, err = rd.(io.WriterTo).WriteTo(&got)
			} else {
				_, err = got.ReadFrom(struct{ io.Reader }{rd})
			}
			if err == nil || got.Len() >= size || !bytes.Equal(got.Bytes(), content(1, size)[:got.Len()]) {
				t.Errorf("%d of %d bytes, %v", got.Len(), size, err)
			}
			if n, again := rd.Read(make([]byte, 1)); n != 0 || !errors.Is(again, cairn.ErrUnavailable) {
				t.Errorf("after the failure: %d bytes, %v", n, again)
			}
			must(t, rd.Close())
			if _, err := rd.(io.WriterTo).WriteTo(io.Discard); err == nil {
				t.Error("a closed reader ends cleanly")
			}
		}
	})
}

// Small bodies that come slowly and together are not divided in the log: each
// is one run of frames.
func TestHazardC9(t *testing.T) {
	simulated(t, 3, coded("1+1"), func(t *testing.T, r *rig) {
		var ups []*upload
		for i := range 4 {
			ups = append(ups, r.upload(fmt.Sprint("k", i), []int64{-1, tinySmall}[i%2]))
		}
		for piece := range 8 {
			for i, u := range ups {
				u.give(content(uint64(i), tinySmall)[piece*tinySmall/8 : (piece+1)*tinySmall/8])
			}
			must(t, r.put(fmt.Sprint("between", piece), content(9, 100)))
		}
		for i, u := range ups {
			must(t, u.end(nil))
			key := fmt.Sprint("k", i)
			r.want(key, content(uint64(i), tinySmall))
			v, err := r.version(keyOf(key))
			must(t, err)
			if p := v.Put.Parts; len(p) != 1 || len(p[0].Extents) != 1 {
				t.Errorf("%s lies in %+v", key, p)
			}
		}
	})
}

// A stage of another store, or of a version that is not known, is refused and
// left alone; so is one that is not a stage at all.
func TestHazardC20(t *testing.T) {
	other := stage.Header{Kind: pack.Log, Capacity: minPack, Store: cairn.StoreID{7}, Pack: cairn.NewPackID(900, [10]byte{1}), Epoch: 1}
	cases := map[string]struct {
		plant func(t *testing.T, fs durable.FS)
		class error
	}{
		"another store": {func(t *testing.T, fs durable.FS) {
			f, err := stage.Create(fs, "/s/stage", other)
			must(t, err)
			must(t, f.Close())
		}, cairn.ErrInvalid},
		"a newer version": {func(t *testing.T, fs durable.FS) {
			f, err := stage.Create(fs, "/s/stage", other)
			must(t, err)
			must(t, f.Close())
			flip(t, fs, stage.Name("/s/stage", other.Pack), 9)
		}, cairn.ErrInvalid},
		"a rotten header": {func(t *testing.T, fs durable.FS) {
			f, err := stage.Create(fs, "/s/stage", other)
			must(t, err)
			must(t, f.WriteAt(make([]byte, 100), 0))
			must(t, f.Close())
			flip(t, fs, stage.Name("/s/stage", other.Pack), 40)
		}, cairn.ErrCorrupt},
		"another life file": {func(t *testing.T, fs durable.FS) {
			_, err := beginLife(fs, "/s/stage", cairn.StoreID{7}, cairn.Stamp{})
			if !errors.Is(err, cairn.ErrInvalid) {
				t.Errorf("a life of another store is begun over this one's: %v", err)
			}
			must(t, fs.Remove("/s/stage/life"))
			_, err = beginLife(fs, "/s/stage", cairn.StoreID{7}, cairn.Stamp{})
			must(t, err)
		}, cairn.ErrInvalid},
	}
	for what, c := range cases {
		simulated(t, 1, nil, func(t *testing.T, r *rig) {
			must(t, r.put("x", content(1, 100)))
			r.close()
			c.plant(t, r.fs)
			before := stageFiles(t, r.fs)
			if err := r.tryOpen(); !errors.Is(err, c.class) {
				t.Errorf("%s: %v", what, err)
			}
			if now := stageFiles(t, r.fs); !slices.Equal(now, before) {
				t.Errorf("%s: stages %v became %v", what, before, now)
			}
		})
	}
}

package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
)

type markerVectors struct {
	Good []struct {
		Store, Node, Note string
		File              string
	}
	Bad []struct {
		Why  string
		File string
	}
}

func TestMarkersAreAsTheVectorsHaveThem(t *testing.T) {
	v := vectors[markerVectors](t, "markers.json")
	if len(v.Good) == 0 || len(v.Bad) == 0 {
		t.Fatal("no vectors")
	}
	for _, g := range v.Good {
		store, err := cairn.ParseStoreID(g.Store)
		if err != nil {
			t.Fatal(err)
		}
		node, err := cairn.ParseNodeID(g.Node)
		if err != nil {
			t.Fatal(err)
		}
		m := Marker{Version: MarkerVersion, Store: store, Node: node, Note: g.Note}
		if got, err := m.Encode(); err != nil || string(got) != g.File {
			t.Errorf("Encode = %q, %v; want %q", got, err, g.File)
		}
		if got, err := ParseMarker([]byte(g.File)); err != nil || got != m {
			t.Errorf("ParseMarker(%q) = %+v, %v", g.File, got, err)
		}
	}
	for _, b := range v.Bad {
		if m, err := ParseMarker([]byte(b.File)); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("%s: %q gave %+v, %v; want ErrInvalid", b.Why, b.File, m, err)
		}
	}
}

func TestAMarkerErrorSaysWhatToDo(t *testing.T) {
	for _, c := range []struct{ why, file, do string }{
		{"newer than this cairn", `{"version":2,"store":7,"more":[]}` + "\n", "install a newer cairn"},
		{"something else", "<html>", "right directory"},
		{"empty", "", "right directory"},
		{"huge", strings.Repeat(" ", 1<<20), "right directory"},
	} {
		if _, err := ParseMarker([]byte(c.file)); err == nil || !strings.Contains(err.Error(), c.do) || !strings.Contains(err.Error(), MarkerName) {
			t.Errorf("%s: %v; want it to name %s and say %q", c.why, err, MarkerName, c.do)
		}
	}
}

func TestAMarkerThatCouldNotBeReadIsNotWritten(t *testing.T) {
	good := Marker{Version: 1, Store: cairn.StoreID{1}, Node: cairn.NodeID{2}, Note: "Do not delete."}
	if _, err := good.Encode(); err != nil {
		t.Fatal(err)
	}
	for why, spoil := range map[string]func(*Marker){
		"version 0":        func(m *Marker) { m.Version = 0 },
		"a later version":  func(m *Marker) { m.Version = 2 },
		"no store":         func(m *Marker) { m.Store = cairn.StoreID{} },
		"no node":          func(m *Marker) { m.Node = cairn.NodeID{} },
		"a long note":      func(m *Marker) { m.Note = strings.Repeat("x", maxNote+1) },
		"two lines":        func(m *Marker) { m.Note = "a\nb" },
		"no UTF-8":         func(m *Marker) { m.Note = "a\xff" },
		"a line separator": func(m *Marker) { m.Note = "a\u2028b" },
	} {
		m := good
		spoil(&m)
		if b, err := m.Encode(); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("%s: %q, %v; want ErrInvalid", why, b, err)
		}
	}
	good.Note = strings.Repeat("\"", maxNote) // the longest file there is
	b, err := good.Encode()
	if err != nil || len(b) > maxMarker {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if again, err := ParseMarker(b); err != nil || again != good {
		t.Errorf("%+v, %v", again, err)
	}
}

func FuzzParseMarker(f *testing.F) {
	var v markerVectors = vectors[markerVectors](f, "markers.json")
	for _, g := range v.Good {
		f.Add([]byte(g.File))
	}
	for _, b := range v.Bad {
		f.Add([]byte(b.File))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMarker(b)
		if err != nil {
			if !errors.Is(err, cairn.ErrInvalid) {
				t.Fatalf("%v is of no class", err)
			}
			return
		}
		if again, err := m.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q and %q (%v) are one marker", b, again, err)
		}
		if !json.Valid(b) {
			t.Fatalf("%q is not JSON", b)
		}
	})
}

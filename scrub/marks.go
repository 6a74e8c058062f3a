package scrub

import (
	"cmp"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
)

// place is one file of a shard on one node.
type place struct {
	pack cairn.PackID
	cairn.Location
}

// kind says what a mark says of a place.
type kind int

const (
	doubted  kind = iota // the node said once that a recorded shard is not there
	wrong                // a recorded shard has wrong bytes
	extra                // a listed file of a known pack that is in no row
	stranger             // a listed file of a pack that the index does not know
	kinds
)

// marksMost bounds the marks of one kind, some 8 MB each. When there are more,
// as after a node was wiped, the rest is found again once these are dealt with.
const marksMost = 50_000

// marks is everything known of single shards: of the sick ones only. Who is
// lost leaves its row, so the index itself remembers the rest.
type marks struct {
	of    [kinds]map[place]moment // since when
	dirty bool                    // changed since the last save
}

func newMarks() marks {
	var m marks
	for k := range m.of {
		m.of[k] = make(map[place]moment)
	}
	return m
}

// add notes a mark and returns since when it is there; false when there is no
// room for another.
func (m *marks) add(k kind, p place, now moment) (moment, bool) {
	if t, ok := m.of[k][p]; ok {
		return t, true
	}
	if len(m.of[k]) >= marksMost {
		return 0, false
	}
	m.of[k][p], m.dirty = now, true
	return now, true
}

func (m *marks) drop(k kind, p place) {
	if _, ok := m.of[k][p]; ok {
		delete(m.of[k], p)
		m.dirty = true
	}
}

// due lists the places marked for at least d, in order.
func (m *marks) due(k kind, now moment, d time.Duration) []place {
	var out []place
	for p, t := range m.of[k] {
		if now.since(t) >= d {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, comparePlaces)
	return out
}

func comparePlaces(a, b place) int {
	return cmp.Or(slices.Compare(a.pack[:], b.pack[:]), cmp.Compare(a.Index, b.Index), slices.Compare(a.Node[:], b.Node[:]), cmp.Compare(a.Write, b.Write))
}

const marksName = "marks.json"

type marksFile struct {
	Version int           `json:"version"`
	Marks   [][]markEntry `json:"marks"` // by kind
}

type markEntry struct {
	Shard string `json:"shard"`
	Node  string `json:"node"`
	Since moment `json:"since"`
}

func (m *marks) file() marksFile {
	f := marksFile{Version: stateVersion}
	for k := range m.of {
		var list []markEntry
		for _, p := range m.due(kind(k), 0, 0) {
			list = append(list, markEntry{p.Name(p.pack).String(), p.Node.String(), m.of[k][p]})
		}
		f.Marks = append(f.Marks, list)
	}
	return f
}

func (m *marks) load(f marksFile, now moment) {
	if f.Version != stateVersion {
		return
	}
	for k, list := range f.Marks[:min(len(f.Marks), int(kinds))] {
		for _, e := range list {
			s, err := layout.ParseShardName(e.Shard)
			node, nerr := cairn.ParseNodeID(e.Node)
			if err == nil && nerr == nil {
				m.add(kind(k), place{s.Pack, cairn.Location{Index: s.Index, Node: node, Write: s.Write}}, min(e.Since, now))
			}
		}
	}
	m.dirty = false
}

package layout

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/cairn-storage/cairn"
)

// MarkerVersion is the version of markers written; it is also that of the
// tree below the marker.
const MarkerVersion = 1

const (
	maxNote   = 256  // bytes of Marker.Note
	maxMarker = 1024 // bytes of a marker file: more than any that Encode gives
)

// Marker says whose directory a node's storage is. A node that is reachable
// but shows no marker is offline (a disk that is not mounted), never empty and
// never written to; the marker confirms ids that the store's root already
// knows and decides nothing by itself.
type Marker struct {
	Version int           // MarkerVersion
	Store   cairn.StoreID // whose shards lie here
	Node    cairn.NodeID  // which node of that store this is
	Note    string        // one line for whoever finds the file, at most 256 bytes, printable
}

// markerFile gives the one order and spelling of the fields.
type markerFile struct {
	Version int    `json:"version"`
	Store   string `json:"store"`
	Node    string `json:"node"`
	Note    string `json:"note"`
}

// Encode gives the marker's only spelling: one line of JSON, its fields in
// order, no spaces, nothing escaped in the note but quotes and backslashes.
// ErrInvalid when the version is not this one's, an id is zero, or the note is
// too long or not printable.
func (m Marker) Encode() ([]byte, error) {
	bad := func(why string) ([]byte, error) {
		return nil, fmt.Errorf("marker: %s: %w", why, cairn.ErrInvalid)
	}
	switch {
	case m.Version != MarkerVersion:
		return bad(fmt.Sprintf("version %d is not %d", m.Version, MarkerVersion))
	case m.Store == cairn.StoreID{}:
		return bad("the store has no id")
	case m.Node == cairn.NodeID{}:
		return bad("the node has no id")
	case len(m.Note) > maxNote:
		return bad(fmt.Sprintf("the note has %d bytes, at most %d are allowed", len(m.Note), maxNote))
	case !utf8.ValidString(m.Note):
		return bad("the note is not UTF-8")
	}
	for _, r := range m.Note {
		if !unicode.IsPrint(r) {
			return bad("the note holds a character that does not print")
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(markerFile{m.Version, m.Store.String(), m.Node.String(), m.Note}); err != nil {
		return bad(err.Error())
	}
	return b.Bytes(), nil
}

// NewerMarker reports whether b is a marker of a version that this cairn does
// not read.
func NewerMarker(b []byte) bool {
	v, err := markerVersion(b)
	return err == nil && v > MarkerVersion
}

func markerVersion(b []byte) (int, error) {
	var v struct{ Version int }
	err := json.Unmarshal(b, &v)
	return v.Version, err
}

// ParseMarker is the exact inverse of Encode: unknown fields, trailing bytes
// and every other spelling are ErrInvalid, and the error says what to do. It
// does not look at whether store and node are the expected ones.
func ParseMarker(b []byte) (Marker, error) {
	bad := func(why, do string) (Marker, error) {
		return Marker{}, fmt.Errorf("%s %s; %s: %w", MarkerName, why, do, cairn.ErrInvalid)
	}
	const foreign = "look whether the address points at the right directory; if it does, the file was changed by hand: put it back as it was, or remove the node and add it again"
	if len(b) > maxMarker {
		return bad("is too large to be a marker", foreign)
	}
	version, err := markerVersion(b)
	if err != nil {
		return bad("is not the JSON that cairn writes", foreign)
	}
	if version > MarkerVersion {
		return bad(fmt.Sprintf("has version %d and this cairn reads version %d", version, MarkerVersion), "install a newer cairn")
	}
	var f markerFile
	if err := json.Unmarshal(b, &f); err != nil {
		return bad("is not the JSON that cairn writes", foreign)
	}
	store, err := cairn.ParseStoreID(f.Store)
	if err != nil {
		return bad("has no store id", foreign)
	}
	node, err := cairn.ParseNodeID(f.Node)
	if err != nil {
		return bad("has no node id", foreign)
	}
	m := Marker{Version: f.Version, Store: store, Node: node, Note: f.Note}
	// One comparison refuses what a decoder forgives: unknown and repeated
	// fields, other cases, other orders, spaces, escapes, trailing bytes.
	if again, err := m.Encode(); err != nil || !bytes.Equal(again, b) {
		return bad("is not spelt as cairn writes it", foreign)
	}
	return m, nil
}

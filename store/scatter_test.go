package store

import (
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
)

// TestNewestPlacesOfEachNode: of a pack that waited long for one node, that node's
// last tries count, and every place of the others.
func TestNewestPlacesOfEachNode(t *testing.T) {
	good, bad := cairn.NodeID{1}, cairn.NodeID{2}
	at := []cairn.Location{{Index: 0, Node: good, Write: 1}}
	for i := range uint32(10_000) {
		at = append(at, cairn.Location{Index: 1, Node: bad, Write: i})
	}
	want := append(slices.Clone(at[:1]), at[len(at)-layout.MaxPerNode:]...)
	if got := newest(at); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

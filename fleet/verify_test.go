package fleet

import (
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
)

// TestApart: of the files of a pack as many are chosen as can be, no two of one
// shard or on one node, in their order.
func TestApart(t *testing.T) {
	at := func(pairs ...byte) (out []cairn.Location) {
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, cairn.Location{Index: pairs[i], Node: cairn.NodeID{pairs[i+1]}})
		}
		return out
	}
	for _, x := range []struct{ what, in, want string }{
		{"each on its own", "\x00\x01\x01\x02\x02\x03", "\x00\x01\x01\x02\x02\x03"},
		{"two of one shard", "\x00\x01\x00\x02", "\x00\x01"},
		{"two on one node", "\x00\x01\x01\x01", "\x00\x01"},
		{"the first that fits is in the way of another", "\x00\x03\x02\x01\x01\x01\x02\x02", "\x00\x03\x01\x01\x02\x02"},
		{"nothing", "", ""},
	} {
		if got, want := apart(at([]byte(x.in)...)), at([]byte(x.want)...); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", x.what, got, want)
		}
	}
}

package store

import (
	"context"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// Nodes is what the store needs of a fleet.
type Nodes interface {
	// Coding is the coding for a new pack: want, or what "auto" comes to with
	// the nodes that take writes now. ErrUnavailable while none does.
	Coding(want string) (cairn.Coding, error)
	// Scatter puts the files of s that are not in have, each verified by a
	// fresh read of its tail, on other nodes where one fails. intend is called
	// before any put it covers. It returns all that stand, and nil only when
	// all n do.
	Scatter(ctx context.Context, s *pack.Sealed, have []cairn.Location, intend func([]cairn.Location) error) ([]cairn.Location, error)
	// Verify returns those of at whose tail reads back and verifies.
	Verify(ctx context.Context, p pack.Params, at []cairn.Location) []cairn.Location
	// Read fills b with pack bytes from off, every block of it proven by a
	// signed root, and may read ahead bytes more into its cache.
	Read(ctx context.Context, p pack.Params, at []cairn.Location, off uint64, b []byte, ahead int) error
	// Lacks is what such a read would ask nodes for: bytes by data shard.
	Lacks(p pack.Params, off uint64, n int) map[uint8]int64
	// Contents returns the sealed contents, verified.
	Contents(ctx context.Context, p pack.Params, at []cairn.Location) ([]byte, error)
	// Survey lists every node and returns the packs whose shards are there.
	// The error names nodes that did not answer; what was found is returned
	// beside it.
	Survey(ctx context.Context) (map[cairn.PackID][]cairn.Location, error)
	// Trailer returns the verified trailer of a pack of which only places are
	// known.
	Trailer(ctx context.Context, id cairn.PackID, at []cairn.Location) (pack.Trailer, error)
	// Full reports whether user data must wait for space: no coding can be
	// placed below the user reserve.
	Full() bool
	// Spare is how many bytes of shards the nodes that take them have room for,
	// the reserve included.
	Spare() int64
	// Ready waits, for seconds at most, for nodes that answer and may take shards
	// in a moment.
	Ready(ctx context.Context)
	// Changed is closed when nodes came, went or changed their state.
	Changed() <-chan struct{}
	// SetNodes replaces the nodes by those the store's records name.
	SetNodes(ctx context.Context, nodes []pack.Node) error
	// Remove deletes one file of a pack and no other. nil: the node, its marker
	// good, says that it is not there.
	Remove(ctx context.Context, id cairn.PackID, l cairn.Location) error
	// Gone reports that nobody waits for a node any more: a person removed it or
	// gave it up, or it was away for too long.
	Gone(id cairn.NodeID) bool
}

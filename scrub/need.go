package scrub

import (
	"context"
	"iter"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// Nodes is what is needed of a fleet.
type Nodes interface {
	// Status lists the nodes, and an alarm over all of them if any.
	Status() ([]fleet.NodeStatus, string)
	// Changed is closed when nodes came, went or changed their state.
	Changed() <-chan struct{}
	// Files lists one node's shards; an error pair ends it. The marker was looked
	// at after the last, so an unmounted disk lists nothing without an error.
	Files(ctx context.Context, node cairn.NodeID) iter.Seq2[fleet.File, error]
	// Examine proves n bytes from off of the shard at l, 0 for the whole file. nil:
	// proven. ErrNotExist: the node, marker good, says there is none. ErrCorrupt:
	// wrong bytes. Anything else says nothing about the shard.
	Examine(ctx context.Context, p pack.Params, l cairn.Location, off, n uint64) (fleet.Moved, error)
	// Verify returns those of at that stand, by a fresh read of their tails.
	Verify(ctx context.Context, p pack.Params, at []cairn.Location) []cairn.Location
	// Trailer returns the verified trailer of a pack of which only places are known.
	Trailer(ctx context.Context, id cairn.PackID, at []cairn.Location) (pack.Trailer, error)
	// RepairOn makes the missing shards of a pack again from those at at, each
	// proven and read back, and returns where. intend is told places before
	// anything is put there. home, if not zero, gets one before any other node.
	RepairOn(ctx context.Context, home cairn.NodeID, p pack.Params, at []cairn.Location, missing []uint8, intend func([]cairn.Location) error) ([]cairn.Location, fleet.Moved, error)
	// Copy makes a second file of the shard at l on another node.
	Copy(ctx context.Context, p pack.Params, at []cairn.Location, l cairn.Location, intend func([]cairn.Location) error) (cairn.Location, fleet.Moved, error)
	// Remove deletes one shard's file; nil once the node says it is not there.
	Remove(ctx context.Context, id cairn.PackID, l cairn.Location) error
	// Temporaries lists the files in tmp/ of a node.
	Temporaries(ctx context.Context, node cairn.NodeID) iter.Seq2[backends.Entry, error]
	// RemoveTemporary deletes one of them.
	RemoveTemporary(ctx context.Context, node cairn.NodeID, name string) error
	// Spend waits until background work may move n bytes with a node; of class
	// ErrFull when the month's budget is used up.
	Spend(ctx context.Context, node cairn.NodeID, n int64) error
	// Judge counts a result for a node's reputation.
	Judge(node cairn.NodeID, o fleet.Outcome)
}

// Store is what is needed of the store: the rows of its packs.
type Store interface {
	// Packs gives the rows of all packs above above, in order of id.
	Packs(above cairn.PackID) iter.Seq2[index.PackRow, error]
	// Pack returns one row, or ErrNotExist.
	Pack(id cairn.PackID) (index.PackRow, error)
	// Placed changes where the shards of a pack stand, if the pack is still
	// Spread when change sees its row; durable when it returns nil.
	Placed(id cairn.PackID, change func(*index.PackRow) error) error
	// Nodes lists the nodes as they are recorded.
	Nodes() ([]pack.Node, error)
}

// Clock tells observed time: how long this store was seen running, over all
// lives of the process. Graces are counted by it and never by the calendar.
type Clock interface{ Now() time.Duration }

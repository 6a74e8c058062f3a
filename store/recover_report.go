package store

import (
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// Base is what recovery begins with: what a root tells, or what was found by
// other ways. The zero Base is a store of which only the nodes of the fleet are
// known: everything then comes from all its log packs.
type Base struct {
	CutOff   pack.CutOff
	Runs     []pack.CheckpointRun // oldest first
	Gateways []pack.RootGateway   // empty: every log pack counts that a key trusted by the fleet signed
	Nodes    []pack.Node          // credentials sealed for Config.Box; empty: those that the fleet has
	Life     uint32               // the highest that is known otherwise, 0 for none
	// Closed are epochs that ended before the checkpoint was made: a pack of one
	// that the checkpoint does not name is not taken.
	Closed map[uint32]bool
	// AcceptLoss goes on where nodes do not answer or log packs are missing.
	AcceptLoss bool
	// Progress is told, never from two goroutines at once, how far it is. Optional.
	Progress func(RecoverStep)
}

// RecoverStep is how far one step of a recovery has come.
type RecoverStep struct {
	Name    string        `json:"step"`    // nodes, checkpoint, packs, log, index
	Objects uint64        `json:"objects"` // rows of a checkpoint, or records of log packs
	Packs   uint64        `json:"packs"`   // read
	Of      uint64        `json:"of"`      // packs that there are to read, 0 for unknown
	Bytes   uint64        `json:"bytes"`   // of packs, read from nodes
	Took    time.Duration `json:"took_ns"`
	Done    bool          `json:"done"`
}

// Recovered is what a recovery found and what it could not.
type Recovered struct {
	Objects uint64 // that there are now
	Bytes   uint64 // of their content
	Rows    uint64 // from the checkpoint
	Records uint64 // of log packs above its cut-off
	Packs   int    // that nodes list
	Logs    int    // log packs applied
	Steps   []RecoverStep

	Silent []string // nodes that did not answer: what only they have is unknown
	Holes  []Hole
	Void   []cairn.PackID // log packs that do not count, see Base.Gateways
	// Lost are versions and parts of uploads whose bytes cannot be had: fewer
	// shards exist than are needed. At most 1,000 are listed, LostCount counts.
	Lost      []Lost
	LostCount uint64
	Journals  uint64 // records that only journals had
	// Unrecorded are nodes that the Base names and the records do not: set them
	// once the store is open.
	Unrecorded []pack.Node
	Last       cairn.Stamp // highest life and highest LSN of a record seen anywhere
	// Reached is the end of the log as it counts now: the last log pack applied,
	// or what the checkpoint is as of. Log packs above it are void from now on.
	Reached pack.CutOff
}

// Hole is log packs First to Last that no node showed. The records missing are
// stamped after After and before Before.
type Hole struct {
	First, Last   uint64
	After, Before cairn.Stamp
}

// String says it for people.
func (h Hole) String() string {
	what := fmt.Sprintf("log packs %d to %d", h.First, h.Last)
	if h.First == h.Last {
		what = fmt.Sprintf("log pack %d", h.First)
	}
	return fmt.Sprintf("%s (records after %v and before %v)", what, h.After, h.Before)
}

// Lost is one version, or one part of an upload, that cannot be read.
type Lost struct {
	Bucket string // its name, or its id where that is not known
	Key    string
	Part   uint16 // of an upload, 0 for a version
	Stamp  cairn.Stamp
	Pack   cairn.PackID // the first of those it lies in that does not stand
	Older  bool         // a version before it is still there, and counts
}

const lostMost = 1000

package scrub

import (
	"time"

	"github.com/cairn-storage/cairn"
)

// Request says what a verb is to look at, and how hard.
type Request struct {
	Node   string  `json:"node,omitempty"`   // name or id of one node; empty for all
	Sample float64 `json:"sample,omitempty"` // part of the shards whose bytes are read whole, 0 to 1
	Full   bool    `json:"full,omitempty"`   // every byte is read
	Repair bool    `json:"repair,omitempty"` // of Scrub: mend what was found
	DryRun bool    `json:"dry_run,omitempty"`
}

// Progress is how far a verb has come. Of counts are estimates and grow with
// what is found.
type Progress struct {
	Verb    string  `json:"verb"`
	Phase   string  `json:"phase"`          // listing, reading, repairing, copying
	Node    string  `json:"node,omitempty"` // that it is about
	Packs   int64   `json:"packs"`
	OfPacks int64   `json:"of_packs"`
	Bytes   int64   `json:"bytes"` // moved so far
	OfBytes int64   `json:"of_bytes"`
	Rate    float64 `json:"rate"`           // bytes a second
	ETA     float64 `json:"eta_s"`          // seconds; -1 while unknown
	Text    string  `json:"text,omitempty"` // something worth a line of its own
}

// Report is what a verb came to.
type Report struct {
	Verb    string  `json:"verb"`
	DryRun  bool    `json:"dry_run,omitempty"`
	Resumed bool    `json:"resumed,omitempty"` // it went on where one before was cut off
	Took    float64 `json:"took_s"`            // seconds

	Packs    int64 `json:"packs"`    // looked at, or mended
	Shards   int64 `json:"shards"`   // looked at, made or moved
	Read     int64 `json:"read"`     // bytes
	Written  int64 `json:"written"`  // bytes
	Requests int64 `json:"requests"` // to nodes

	Wrong    int64 `json:"wrong"`     // shards with wrong bytes
	Missing  int64 `json:"missing"`   // shards not there at a first look; a second comes an hour later
	Lost     int64 `json:"lost"`      // shards not there at the second look
	Unread   int64 `json:"unread"`    // shards of which nothing could be found out
	Unknown  int64 `json:"unknown"`   // listed packs that the index does not know
	Extra    int64 `json:"extra"`     // listed files of packs that the index knows, that are in no row
	NoShards int64 `json:"no_shards"` // of them, those that are no shard: they stay
	Found    int64 `json:"found"`     // shards that the index did not know of, taken up
	Made     int64 `json:"made"`      // shards made again, or moved
	Removed  int64 `json:"removed"`   // files that nothing needs any more
	Left     int64 `json:"left"`      // what is still to be done
	LeftSize int64 `json:"left_size"`

	Stuck []Stuck  `json:"stuck,omitempty"` // at most stuckMost of them
	Alarm string   `json:"alarm,omitempty"` // of the fleet, at the end
	Says  []string `json:"says,omitempty"`  // the outcome in sentences for people
	// MayRemove: of Drain, nothing needs the node any more.
	MayRemove bool `json:"may_remove,omitempty"`
}

// Stuck is a pack that cannot be mended now, and why.
type Stuck struct {
	Pack cairn.PackID `json:"-"`
	ID   string       `json:"pack"`
	Have int          `json:"have"` // shards that can be read now
	Need int          `json:"need"` // k
	Why  string       `json:"why"`
	Lost bool         `json:"lost"` // no node that is away could change it
	// NoNode: it has enough shards, and no node may take another.
	NoNode bool `json:"no_node,omitempty"`
}

// stuckMost bounds the packs that are named one by one.
const stuckMost = 100

// Health is how the packs stand, as of the last pass over the index and the
// nodes' states of now. Nobody is asked for it.
type Health struct {
	When time.Time `json:"when"` // of the pass; zero before the first
	// Partial: the index has more packs than could be counted in a second.
	Partial bool  `json:"partial,omitempty"`
	Packs   int64 `json:"packs"`
	// Missing[i] is the packs of which i shards are not good now.
	Missing []int64 `json:"missing"`
	// Spare[i] is the packs that stay readable when any i operators fail, and
	// not when any i+1 do.
	Spare []int64 `json:"spare"`
	// Worst is how many operators may fail, whichever, and every object stays
	// readable; -1 when some pack cannot be read as it is. Whole is the same once
	// repair has done what the nodes of now allow, Full when every shard of every
	// pack stands at an operator of its own. Below three operators, nodes.
	Worst      int    `json:"worst"`
	Whole      int    `json:"whole"`
	Full       int    `json:"full"`
	Unreadable int64  `json:"unreadable"` // packs: fewer than k shards now, but enough may come back
	Lost       int64  `json:"lost"`       // packs: fewer than k shards even if every node came back
	Shards     Shards `json:"shards"`
	// Bears is the same in packs and bytes, as the status shows it.
	Bears Bearing `json:"-"`

	// What repair still has to do, and how fast it has been lately.
	BacklogPacks  int64   `json:"backlog_packs"`
	BacklogShards int64   `json:"backlog_shards"`
	BacklogBytes  int64   `json:"backlog_bytes"` // of shards to be made
	Rate          float64 `json:"rate"`          // bytes of shards made a second
	ETA           float64 `json:"eta_s"`         // seconds; 0 when nothing is left, -1 while unknown
	Waiting       string  `json:"waiting,omitempty"`
	Stuck         []Stuck `json:"stuck,omitempty"`
	StuckMore     int64   `json:"stuck_more,omitempty"`

	Coverage []Coverage `json:"coverage"`
	// Oldest is the age of the bytes that were proven longest ago, in seconds;
	// -1 while some were never.
	Oldest float64 `json:"oldest_s"`
	Alarm  string  `json:"alarm,omitempty"`
	// Nines is how safe a pack is for a year, from the coding of most packs,
	// failures seen and the speed of repair; Basis says how it was reckoned.
	Nines float64 `json:"nines"`
	Basis string  `json:"basis"`
}

// Bearing is what the packs on nodes can bear.
type Bearing struct {
	Sum
	Missing []Sum // element i: those of which i shards are not good now
	// Unreadable are packs of which fewer than k shards can be read now, and Lost
	// those among them of which fewer than k are left even when every node comes
	// back.
	Unreadable, Lost Sum
	// MayFail is how many domains may fail, whichever, and every pack stays
	// readable, MayFailBack the same once every node is back that was not given
	// up; -1 when some pack cannot be read then.
	MayFail, MayFailBack int
	Domain               string // what may fail: operator; node, below three operators
	Coded                map[cairn.Coding]Sum
}

// Shards counts shards by what is known of them.
type Shards struct {
	Good        int64 `json:"good"`
	Leaving     int64 `json:"leaving"`     // good, on nodes that are drained
	Away        int64 `json:"away"`        // on nodes that do not answer, or show no marker
	Suspect     int64 `json:"suspect"`     // the same, for over 4 hours
	Quarantined int64 `json:"quarantined"` // on nodes that sent wrong bytes
	Wrong       int64 `json:"wrong"`       // whose own bytes are wrong
	Missing     int64 `json:"missing"`     // lost, or on nodes given up
	Unknown     int64 `json:"unknown"`     // in no row while not every node was listed, or on a node never seen since a recovery
}

// Coverage is how well the bytes of one node are looked after.
type Coverage struct {
	Node   cairn.NodeID `json:"-"`
	ID     string       `json:"id"`
	Name   string       `json:"node"`
	Shards int64        `json:"shards"`
	Bytes  int64        `json:"bytes"`
	Listed float64      `json:"listed_s"` // since it was listed whole; -1 never
	Round  float64      `json:"round"`    // how far this round of reading is, 0 to 1
	Days   float64      `json:"days"`     // every byte is read in so many days; 0 while unknown
	Oldest float64      `json:"oldest_s"` // age of what was proven longest ago; -1 never
	Why    string       `json:"why,omitempty"`
	Text   string       `json:"text"` // "every byte in 41 d: budget"
}

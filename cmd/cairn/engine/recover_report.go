package engine

import (
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/keep"
	"github.com/cairn-storage/cairn/store"
)

// From is a node that a person names.
type From struct {
	Remote  string
	HostKey string
	Login   Login // empty: the owner's SSH key
}

// RecoverFound is what the nodes tell before anything is done.
type RecoverFound struct {
	Store   cairn.StoreID `json:"-"`
	Short   string        `json:"store"`
	KitMade time.Time     `json:"kit_made"` // zero without a kit
	KitRoot uint64        `json:"kit_root"`
	Nodes   int           `json:"nodes"`  // that the store has
	Answer  int           `json:"answer"` // of them
	Root    uint64        `json:"root"`   // the newest, 0 when none is left
	Written time.Time     `json:"root_written"`
	On      []string      `json:"root_on"`
	Behind  []string      `json:"behind"` // what is wrong with the roots of a node
	Silent  []string      `json:"silent"` // nodes that do not answer, and why
	Forks   []string      `json:"forks"`
	Notes   []string      `json:"notes"`
}

// RecoverReport is what a recovery came to.
type RecoverReport struct {
	RecoverFound
	Dir       string          `json:"dir"`
	Identity  string          `json:"identity"` // file of the new gateway's
	Index     store.Recovered `json:"index"`
	Miss      int             `json:"may_miss"` // nodes that every spread pack can miss
	Objects   int64           `json:"objects"`
	Bytes     int64           `json:"bytes"`
	Buckets   int             `json:"buckets"`
	Access    int             `json:"access_keys"`
	Recorded  int             `json:"nodes_recorded"`
	Kept      []keep.Laid     `json:"kept"`
	Sampled   int             `json:"sampled"`
	Failed    int             `json:"sampled_failed"`
	Unread    []string        `json:"unread"` // the first of those, and why
	Took      float64         `json:"took_s"`
	Rehearsed bool            `json:"rehearsed"`
	// Unwrapped are owners whose plugin of age does not work on this machine, and
	// why: the keys that were made anew do not open for them.
	Unwrapped []string `json:"owners_without_keys,omitempty"`
	Waiting   string   `json:"waiting,omitempty"` // why nodes do not take shards of the new gateway yet
}

// Package pack is the formats of version 1.
//
// Reading order: size.go, record.go with the bodies of object.go, upload.go and
// state.go, frame.go, group.go (what a stage holds), contents.go and press.go
// (how tables are compressed and padded), trailer.go and tail.go (the end of a
// shard), seal.go (n shards from one pack), finish.go (one of them made again);
// then what recovery begins with: row.go and run.go with runwriter.go,
// runreader.go and runmerge.go (the rows of a checkpoint), checkpoint.go (its
// runs and where they stand), root.go and rootbody.go (the signed state of a
// store), hidden.go (why that does not print). doc/format.md is the normative
// text, with byte tables.
//
// The package is pure: bytes in, bytes out, and no I/O but over the readers and
// writers it is given; no clock, no log. It knows neither nodes nor index.
package pack

import (
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// Version is the format version this package writes. Version 1 stays readable
// for ever.
const Version = 1

// Kind says what a pack is for. It stands in the sealed contents only: nodes
// cannot tell kinds apart.
type Kind uint8

// The kinds of packs.
const (
	Log        Kind = 1 // frames of small objects and, as the only kind, records
	Data       Kind = 2 // frames of large objects and parts
	Moved      Kind = 3 // frames that compaction moved
	Journal    Kind = 4 // anticipates a log pack for ack = "spread"; coded 1+m
	Checkpoint Kind = 5 // one part of a checkpoint
)

// String is the word used in output.
func (k Kind) String() string {
	switch k {
	case Log:
		return "log"
	case Data:
		return "data"
	case Moved:
		return "moved"
	case Journal:
		return "journal"
	case Checkpoint:
		return "checkpoint"
	}
	return "unknown"
}

// Params is what must be known of a pack, next to its id, to read its shards.
// It stands in the index and in every trailer.
type Params struct {
	Store    cairn.StoreID
	ID       cairn.PackID
	Epoch    uint32
	Prefix   crypt.NoncePrefix
	Coding   cairn.Coding
	Length   uint64 // bytes of one shard (L)
	Contents uint32 // bytes of the sealed contents
}

// Bounds. Limits of this version, refused by the parsers when passed.
const (
	MaxLength   = 1 << 30   // of one shard, bytes
	MaxContents = 4 << 20   // of sealed contents, bytes
	MaxBytes    = 1<<32 - 1 // of a pack before padding: extents count in 32 bits
	// MaxRecords is where a log pack counts as full: encoded bytes of its
	// records. Sealed, that is 88 KiB of contents for the objects of a Nix
	// cache, and never over 208 KiB.
	MaxRecords = 192 << 10
)

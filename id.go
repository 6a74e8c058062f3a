package cairn

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// MaxSequence is the highest pack sequence: four base-256 directory digits of
// 64 packs each. The field in a pack id is wider (48 bits) so that a later
// layout can use more.
const MaxSequence = 1<<38 - 1

// PackID names a pack: a 48-bit big-endian sequence, then 80 random bits. The
// sequence serves paths and order only; keys derive from the whole id, so an
// id that is issued twice by mistake still differs.
type PackID [16]byte

// NewPackID joins seq and the first 10 bytes of random. seq must not pass
// MaxSequence.
func NewPackID(seq uint64, random [10]byte) PackID {
	var id PackID
	var s [8]byte
	binary.BigEndian.PutUint64(s[:], seq)
	copy(id[:6], s[2:])
	copy(id[6:], random[:])
	return id
}

// Seq is the sequence part of the id.
func (id PackID) Seq() uint64 {
	var s [8]byte
	copy(s[2:], id[:6])
	return binary.BigEndian.Uint64(s[:])
}

// String is 32 lower-case hex digits.
func (id PackID) String() string { return hex.EncodeToString(id[:]) }

// ParsePackID is the exact inverse of String.
func ParsePackID(s string) (PackID, error) {
	id, err := parse16(s)
	return PackID(id), err
}

// NodeID names a node for ever; its name and address may change.
type NodeID [16]byte

// String is 32 lower-case hex digits.
func (id NodeID) String() string { return hex.EncodeToString(id[:]) }

// ParseNodeID is the exact inverse of String.
func ParseNodeID(s string) (NodeID, error) {
	id, err := parse16(s)
	return NodeID(id), err
}

// StoreID names a store: all packs, nodes and keys of one owner group.
type StoreID [16]byte

// String is 32 lower-case hex digits.
func (id StoreID) String() string { return hex.EncodeToString(id[:]) }

// Short is the form people compare by eye: 4f1c-9a20.
func (id StoreID) Short() string {
	return hex.EncodeToString(id[:2]) + "-" + hex.EncodeToString(id[2:4])
}

// ParseStoreID is the exact inverse of String.
func ParseStoreID(s string) (StoreID, error) {
	id, err := parse16(s)
	return StoreID(id), err
}

func parse16(s string) (id [16]byte, err error) {
	if len(s) != 32 {
		return id, fmt.Errorf("id %q: needs 32 hex digits: %w", s, ErrInvalid)
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return id, fmt.Errorf("id %q: needs lower-case hex digits: %w", s, ErrInvalid)
		}
	}
	_, err = hex.Decode(id[:], []byte(s))
	return id, err
}

// ShardName names one file of one shard. Write is drawn anew for every file
// that is put, so a name is never used twice, by repair either.
type ShardName struct {
	Pack  PackID
	Index uint8 // 0..n-1; below k a data shard
	Write uint32
}

// String is <pack id>-<index, two hex digits>-<write, eight hex digits>.
func (s ShardName) String() string { return fmt.Sprintf("%s-%02x-%08x", s.Pack, s.Index, s.Write) }

// Stamp orders records: by life, then by LSN. The highest stamp wins at
// replay, whatever the order in which packs are read.
type Stamp struct {
	Life uint32 // number of the gateway process life that wrote the record
	LSN  uint64 // log sequence number, never reissued
}

// Compare is negative, zero or positive as s is before, equal to or after t.
func (s Stamp) Compare(t Stamp) int {
	return cmp.Or(cmp.Compare(s.Life, t.Life), cmp.Compare(s.LSN, t.LSN))
}

// IsZero reports whether s stamps nothing; no record carries it.
func (s Stamp) IsZero() bool { return s == Stamp{} }

// String is life.lsn.
func (s Stamp) String() string { return fmt.Sprintf("%d.%d", s.Life, s.LSN) }

// Coding is the shape of a pack: any K of K+M shards give the pack back.
type Coding struct {
	K int // data shards, at least 1
	M int // parity shards, may be 0
}

// MaxShards bounds n = k+m.
const MaxShards = 32

// N is the number of shards.
func (c Coding) N() int { return c.K + c.M }

// String is k+m.
func (c Coding) String() string { return fmt.Sprintf("%d+%d", c.K, c.M) }

// Check returns ErrInvalid unless 1 <= k, 0 <= m and k+m <= MaxShards.
func (c Coding) Check() error {
	if c.K < 1 || c.M < 0 || c.K > MaxShards || c.M > MaxShards || c.N() > MaxShards {
		return fmt.Errorf("coding %d+%d: needs k >= 1, m >= 0 and at most %d shards: %w", c.K, c.M, MaxShards, ErrInvalid)
	}
	return nil
}

// ParseCoding reads k+m, the exact inverse of String.
func ParseCoding(s string) (Coding, error) {
	var c Coding
	if _, err := fmt.Sscanf(s, "%d+%d", &c.K, &c.M); err != nil || c.String() != s {
		return Coding{}, fmt.Errorf("coding %q: write it as k+m, such as 4+3: %w", s, ErrInvalid)
	}
	return c, c.Check()
}

// Location says where one shard of a pack stands, or is meant to stand.
type Location struct {
	Index uint8
	Node  NodeID
	Write uint32
}

// Name is the shard's file name at the location, for pack id.
func (l Location) Name(id PackID) ShardName {
	return ShardName{Pack: id, Index: l.Index, Write: l.Write}
}

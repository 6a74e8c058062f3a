package layout

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/cairn-storage/cairn"
)

// The shape of the tree of packs. No directory passes MaxEntries:
//
//   - packs/ and the three levels below it hold one directory per value of one
//     base-256 digit;
//   - a leaf holds the files of PacksPerLeaf sequences, and a node holds at
//     most MaxPerNode files of one pack: 64 x 4 = 256.
//
// Placement puts one shard of a pack on a node, so the usual leaf has 64
// files; the room is for the second files that repair writes beside a first,
// and who writes one looks whether MaxPerNode are there already.
const (
	MaxEntries   = 256 // most entries of any directory on a node
	PacksPerLeaf = 64  // sequences that share a leaf directory
	MaxPerNode   = 4   // most files of one pack on one node
)

// PacksDir is the directory above all shards.
const PacksDir = "packs"

const (
	leafLength  = len(PacksDir + "/00/00/00/00")
	shardLength = 32 + len("-00-00000000")
)

// Leaf is the directory of every shard whose pack has sequence seq:
// packs/<a>/<b>/<c>/<d>, the four base-256 digits of seq >> 6, most
// significant first. Later sequences have leaves that sort later. It is empty
// when seq passes cairn.MaxSequence: such a pack has no place on a node, and
// no remote takes an empty name.
func Leaf(seq uint64) string {
	if seq > cairn.MaxSequence {
		return ""
	}
	d := seq / PacksPerLeaf
	return fmt.Sprintf(PacksDir+"/%02x/%02x/%02x/%02x", d>>24, d>>16&0xff, d>>8&0xff, d&0xff)
}

// RangeOfLeaf returns the first and the last sequence whose shards lie in the
// directory dir, the exact inverse of Leaf; ErrInvalid when dir is no leaf.
func RangeOfLeaf(dir string) (first, last uint64, err error) {
	bad := func() (uint64, uint64, error) {
		return 0, 0, fmt.Errorf("directory %q: a leaf is packs/aa/bb/cc/dd in lower-case hex: %w", dir, cairn.ErrInvalid)
	}
	if len(dir) != leafLength || !strings.HasPrefix(dir, PacksDir) {
		return bad()
	}
	var d uint64
	for rest := dir[len(PacksDir):]; rest != ""; rest = rest[3:] {
		digit, ok := parseHex(rest[1:3])
		if rest[0] != '/' || !ok {
			return bad()
		}
		d = d<<8 | digit
	}
	return d * PacksPerLeaf, d*PacksPerLeaf + PacksPerLeaf - 1, nil
}

// Path is the full name of a shard's file on its node: its leaf, then the
// name itself. It is empty when the pack's sequence passes cairn.MaxSequence.
func Path(s cairn.ShardName) string {
	leaf := Leaf(s.Pack.Seq())
	if leaf == "" {
		return ""
	}
	return leaf + "/" + s.String()
}

// ParsePath is the exact inverse of Path: whatever it takes, Path spells the
// same again. ErrInvalid for anything else, a shard in another leaf than its
// own included.
func ParsePath(path string) (cairn.ShardName, error) {
	if len(path) != leafLength+1+shardLength {
		return cairn.ShardName{}, fmt.Errorf("shard path %q: has %d bytes, not %d: %w", path, len(path), leafLength+1+shardLength, cairn.ErrInvalid)
	}
	s, err := ParseShardName(path[leafLength+1:])
	if err != nil {
		return cairn.ShardName{}, err
	}
	if Path(s) != path {
		return cairn.ShardName{}, fmt.Errorf("shard path %q: the shard belongs at %q: %w", path, Path(s), cairn.ErrInvalid)
	}
	return s, nil
}

// ParseShardName is the exact inverse of cairn.ShardName.String; ErrInvalid
// for anything else and for an index that no coding reaches.
func ParseShardName(name string) (cairn.ShardName, error) {
	bad := func(why string) (cairn.ShardName, error) {
		return cairn.ShardName{}, fmt.Errorf("shard name %q: %s: %w", name, why, cairn.ErrInvalid)
	}
	if len(name) != shardLength || name[32] != '-' || name[35] != '-' {
		return bad("write it <32 hex>-<2 hex>-<8 hex>")
	}
	pack, err := cairn.ParsePackID(name[:32])
	if err != nil {
		return cairn.ShardName{}, err
	}
	index, ok := parseHex(name[33:35])
	if !ok || index >= cairn.MaxShards {
		return bad("the index is not one of a shard")
	}
	write, ok := parseHex(name[36:])
	if !ok {
		return bad("the last eight digits are not lower-case hex")
	}
	return cairn.ShardName{Pack: pack, Index: uint8(index), Write: uint32(write)}, nil
}

// parseHex reads lower-case hex digits only; strconv alone would take signs,
// underscores and upper case, and so a second spelling.
func parseHex(s string) (uint64, bool) {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(s, 16, 64)
	return n, err == nil
}

// parseHash reads 32 lower-case hex digits.
func parseHash(s string) (hash [16]byte, ok bool) {
	id, err := cairn.ParsePackID(s)
	return [16]byte(id), err == nil
}

func formatHash(hash [16]byte) string { return hex.EncodeToString(hash[:]) }

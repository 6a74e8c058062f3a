package layout

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cairn-storage/cairn"
)

// The files of a node that are no shards. Every node carries the marker, the
// two texts for the person who owns it, all of keys/ and the latest of roots/;
// both directories stay short because epochs are rare and old roots are
// pruned.
const (
	MarkerName   = "cairn.json"         // whose directory this is, see Marker
	ReadmeName   = "README.txt"         // what this directory is, for its owner
	StatusName   = "STATUS.txt"         // how the node does, for its owner
	OperatorName = "cairn-operator.txt" // what the owner asks for: quota, pause, leave

	KeysDir    = "keys"  // wrapped epoch keys
	RootsDir   = "roots" // signed store state
	TempPrefix = "tmp/"  // files not yet whole, renamed or left to sweep
)

// KeyPath is the name of one file of wrapped keys: keys/<epoch>-<hash>, the
// epoch in decimal. hash is of the file's bytes, so a second wrapping of the
// same epoch has a name of its own.
func KeyPath(epoch uint32, hash [16]byte) string {
	return KeysDir + "/" + strconv.FormatUint(uint64(epoch), 10) + "-" + formatHash(hash)
}

// ParseKeyPath is the exact inverse of KeyPath; ErrInvalid for anything else.
func ParseKeyPath(path string) (epoch uint32, hash [16]byte, err error) {
	number, digest, _ := strings.Cut(strings.TrimPrefix(path, KeysDir+"/"), "-")
	e, err := strconv.ParseUint(number, 10, 32)
	hash, ok := parseHash(digest)
	if err != nil || !ok || KeyPath(uint32(e), hash) != path {
		return 0, [16]byte{}, fmt.Errorf("key file %q: write it keys/<epoch>-<32 hex>: %w", path, cairn.ErrInvalid)
	}
	return uint32(e), hash, nil
}

// RootPath is the name of one root: roots/<seq>-<hash>, seq as 16 hex digits,
// so that roots sort by age. hash is of the root's bytes: two roots of one
// sequence (a fork) stand beside each other.
func RootPath(seq uint64, hash [16]byte) string {
	return fmt.Sprintf(RootsDir+"/%016x-%s", seq, formatHash(hash))
}

// ParseRootPath is the exact inverse of RootPath; ErrInvalid for anything
// else.
func ParseRootPath(path string) (seq uint64, hash [16]byte, err error) {
	number, digest, _ := strings.Cut(strings.TrimPrefix(path, RootsDir+"/"), "-")
	seq, okSeq := parseHex(number)
	hash, okHash := parseHash(digest)
	if !okSeq || !okHash || RootPath(seq, hash) != path {
		return 0, [16]byte{}, fmt.Errorf("root %q: write it roots/<16 hex>-<32 hex>: %w", path, cairn.ErrInvalid)
	}
	return seq, hash, nil
}

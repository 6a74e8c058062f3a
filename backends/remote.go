// Package backends speaks to one node: the Remote contract, wrappers of one
// behaviour each, and (in sub-packages) the transports. It knows no packs,
// shards, keys or other nodes, keeps nothing on disk, and trusts nothing that
// a node answers; what the bytes mean is verified far above.
//
// Reading order: remote.go (the contract), name.go (the grammar of names),
// afresh.go (reads that believe nothing held open), around.go (what wrappers are
// built on), then the wrappers: guard.go,
// deadline.go with deadline_list.go and buffers.go, limit.go with background.go, retry.go,
// meter.go. A node's whole stack, in the one order in which it is right:
//
//	r = backends.Guard(r, backends.Bounds{})                // names in, listings out
//	r = backends.Deadline(r, backends.DeadlineConfig{})     // below Limit: waiting for a slot is not the node's fault
//	r = backends.Limit(r, 8)                                // below Retry: a pause between tries holds no slot
//	r = backends.Retry(r, backends.RetryConfig{})
//	r = backends.Meter(r, name, metrics)                    // outermost: what callers felt
//
// conform checks the contract, backendtest has doubles that break it.
package backends

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/cairn-storage/cairn"
)

// A Remote stores small immutable files on one node. Nothing it returns is
// trusted. It is safe for concurrent use and honours ctx: a call returns soon
// after ctx ends, whatever the node does. Errors carry a class from cairn:
// ErrNotExist only for a clean "not found" of the node itself, ErrFull,
// ErrDenied, ErrCorrupt for a reply that breaks the protocol, ErrInvalid for
// arguments no node could serve, and ErrUnavailable for everything else.
//
// Names are slash-separated relative paths of [a-z0-9.-] elements (plus upper
// case in README.txt and STATUS.txt); none is ".", ".." or empty. CheckName
// has the whole grammar. Put must not keep data after it returned, nor ReadAt
// write to p.
type Remote interface {
	// Put stores data under name, making directories as needed. nil means
	// that any later read sees exactly data. An error means unknown: absent,
	// whole or partial. Names are never reused, so repeating is safe.
	Put(ctx context.Context, name string, data []byte) error
	// ReadAt fills p from off, or fails; a file that ends early is ErrCorrupt. It
	// may read a file that is held open from before, unless ctx is of a Look.
	ReadAt(ctx context.Context, name string, p []byte, off int64) error
	// Stat returns the size in bytes.
	Stat(ctx context.Context, name string) (int64, error)
	// List yields every file below dir, in no order; a missing dir yields
	// nothing. An error ends the sequence and is the last pair.
	List(ctx context.Context, dir string) iter.Seq2[Entry, error]
	// Delete removes name; a missing name is fine.
	Delete(ctx context.Context, name string) error
}

// Entry is one listed file.
type Entry struct {
	Name string // full name, as given to Put
	Size int64
}

// Unwrapper is what a wrapper implements so that As can look below it.
type Unwrapper interface{ Unwrap() Remote }

// Coverer is a wrapper that puts its behaviour around the optional abilities
// of what it wraps too: As hands it the ability found below, and gives the
// caller what Cover returns where that has the ability as well. Without it a
// node that hangs would hang Free below any Deadline.
type Coverer interface {
	Unwrapper
	Cover(ability any) any
}

// As returns the optional ability T of r or of what r wraps, covered by the
// wrappers between.
func As[T any](r Remote) (T, bool) {
	if t, ok := r.(T); ok {
		return t, true
	}
	var none T
	u, ok := r.(Unwrapper)
	if !ok {
		return none, false
	}
	found, ok := As[T](u.Unwrap())
	if !ok {
		return none, false
	}
	if c, ok := r.(Coverer); ok {
		if covered, ok := c.Cover(found).(T); ok {
			return covered, true
		}
	}
	return found, true
}

// Optional abilities.
type (
	// Capacity tells the free space in bytes as the node has it; it may lie.
	Capacity interface {
		Free(ctx context.Context) (free, total int64, err error)
	}
	// Replacer overwrites a small file atomically (marker, STATUS.txt).
	Replacer interface {
		Replace(ctx context.Context, name string, data []byte) error
	}
	// Closer ends connections; the Remote is unusable afterwards.
	Closer interface{ Close() error }
	// Describer says what the transport can do, for node check and node list.
	Describer interface {
		Describe(ctx context.Context) (Traits, error)
	}
)

// Traits is what a transport found out about its node.
type Traits struct {
	Kind         string // sftp, local, ...
	AtomicRename bool
	Fsync        bool
	HostKey      string // SHA256:..., empty where there is none
	Connections  int
	RTT          time.Duration
}

// Error says which operation on which node failed; Err carries the class.
type Error struct {
	Op   string // put, read, stat, list, delete, connect, free, replace, describe
	Node string // the node's name, or the address before it has one
	Name string // the file, may be empty
	Err  error
}

func (e *Error) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("node %s: %s: %v", e.Node, e.Op, e.Err)
	}
	return fmt.Sprintf("node %s: %s %s: %v", e.Node, e.Op, e.Name, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Class returns the class an Error belongs to, ErrUnavailable when the
// transport gave none: a node's failure is never taken for our own bug.
func Class(err error) error {
	if c := cairn.Class(err); c != nil {
		return c
	}
	return cairn.ErrUnavailable
}

package fleet

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cairn-storage/cairn"
)

// errClosed is the answer to every call after Close.
var errClosed = fmt.Errorf("fleet: closed: %w", cairn.ErrUnavailable)

// errDown is a call not even tried: the node failed just before.
var errDown = fmt.Errorf("did not answer a moment ago: %w", cairn.ErrUnavailable)

// ErrNowhere is that no node is left to take a shard: all that are there hold one
// of the pack, are full, or take none. Its class is ErrFull or ErrUnavailable.
var ErrNowhere = errors.New("nowhere to go: add a node")

// failure is what several nodes together could not do. Its class is its own:
// one node's wrong bytes or full disk must not pass for the outcome. The causes
// name the nodes and are text.
type failure struct {
	what   string
	class  error
	kind   error // a sentinel beside the class, may be nil
	ended  error // of the caller's context, nil while it lasts
	causes []error
}

func (e *failure) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "fleet: %s: ", e.what)
	if e.kind != nil {
		fmt.Fprintf(&b, "%v: ", e.kind)
	}
	fmt.Fprint(&b, e.class)
	if e.ended != nil {
		fmt.Fprintf(&b, ": %v", e.ended)
	}
	for i, c := range e.causes {
		b.WriteString([]string{"; ", " ("}[bit(i == 0)])
		b.WriteString(strings.ReplaceAll(c.Error(), "\n", "; ")) // of joined errors
	}
	if len(e.causes) > 0 {
		b.WriteString(")")
	}
	return b.String()
}

func (e *failure) Unwrap() []error {
	out := []error{e.class}
	for _, err := range []error{e.kind, e.ended} {
		if err != nil {
			out = append(out, err)
		}
	}
	return out
}

// join adds err to causes; the causes of a failure are added one by one.
func join(causes []error, err error) []error {
	var e *failure
	switch {
	case err == nil:
		return causes
	case errors.As(err, &e):
		return append(causes, e.causes...)
	}
	return append(causes, err)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

package sftp

import (
	"context"
	"errors"
	"io"
	"sync"
)

// maxListing is how much a node may answer to the listing of one directory:
// some 100,000 names, where the layout makes 256.
const maxListing = 16 << 20

var errTooLong = errors.New("the listing of a directory does not end")

// intake reads what a session sends. It ends listings that go on for ever,
// which the library would collect in memory.
type intake struct {
	io.Reader

	mu       sync.Mutex
	total    int64                 // guarded by mu, as below
	listings map[*listing]struct{} // in progress
}

// listing is one directory being read.
type listing struct {
	limit int64 // of intake.total
	end   context.CancelCauseFunc
}

// Read counts.
func (i *intake) Read(p []byte) (int, error) {
	n, err := i.Reader.Read(p)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.total += int64(n)
	for l := range i.listings {
		if i.total > l.limit {
			l.end(errTooLong)
		}
	}
	return n, err
}

// bound ends the context returned once the session sent more than a listing
// may take, other answers included. done must be called.
func (i *intake) bound(ctx context.Context) (_ context.Context, done func()) {
	ctx, end := context.WithCancelCause(ctx)
	i.mu.Lock()
	defer i.mu.Unlock()
	l := &listing{limit: i.total + maxListing, end: end}
	if i.listings == nil {
		i.listings = make(map[*listing]struct{})
	}
	i.listings[l] = struct{}{}
	return ctx, func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		delete(i.listings, l)
		end(nil)
	}
}

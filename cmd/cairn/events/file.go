package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
)

const (
	// maxFile is how large the file gets, bytes, before it becomes the old one
	// and the old one goes: both together hold months of a quiet gateway.
	maxFile = 4 << 20
	// queued is how many events wait for a slow disk; what is more is counted.
	queued = 256
	// retryAfter is how long a disk that failed is left alone.
	retryAfter = 10 * time.Second
)

// oldName is the file before the one at path.
func oldName(path string) string { return path + ".1" }

// Log keeps events in the file at a path. It is safe for concurrent use.
type Log struct {
	fs    durable.FS
	path  string
	in    chan Event
	lost  atomic.Int64  // events that found no room
	ended chan struct{} // closed when the writer has returned; nil before Start
	end   chan struct{} // closed by Close
}

// New makes a log that only remembers, until Start. A disk that fails or hangs
// holds nobody up: events are lost then, and how many is written when it works
// again.
func New(fs durable.FS, path string) *Log {
	return &Log{fs: fs, path: path, in: make(chan Event, queued), end: make(chan struct{})}
}

// Start begins to write. Whoever calls it holds the lock of the store, so that
// no other process writes the file.
func (l *Log) Start() {
	l.ended = make(chan struct{})
	go func() {
		defer close(l.ended)
		l.write()
	}()
}

// Close writes what waits and ends; what comes later is lost. A disk that hangs
// is waited for until ctx ends.
func (l *Log) Close(ctx context.Context) error {
	close(l.end)
	if l.ended == nil {
		return nil
	}
	select {
	case <-l.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("events: the disk of %s does not answer: %w: %w", l.path, ctx.Err(), cairn.ErrUnavailable)
	}
}

// add never waits.
func (l *Log) add(e Event) {
	select {
	case l.in <- e:
	default:
		l.lost.Add(1)
	}
}

// write is the only one that touches the files.
func (l *Log) write() {
	var f writer
	defer func() { f.close() }()
	var rest time.Time
	put := func(e Event) {
		if time.Now().Before(rest) {
			l.lost.Add(1)
			return
		}
		if lost := l.lost.Swap(0); lost > 0 {
			more := Event{Time: e.Time, Level: "WARN", What: "events were lost: the disk was too slow for them", Facts: []Fact{{"events", fmt.Sprint(lost)}}}
			if f.append(l.fs, l.path, more) != nil {
				l.lost.Add(lost)
			}
		}
		if err := f.append(l.fs, l.path, e); err != nil {
			l.lost.Add(1)
			f.close()
			rest = time.Now().Add(retryAfter)
		}
	}
	for {
		select {
		case e := <-l.in:
			put(e)
		case <-l.end:
			for {
				select {
				case e := <-l.in:
					put(e)
				default:
					return
				}
			}
		}
	}
}

// writer is the open file.
type writer struct {
	f    durable.File
	size int64
}

func (w *writer) close() {
	if w.f != nil {
		_ = w.f.Close() // nothing of it was promised
	}
	w.f = nil
}

// append writes one line. Lines are not synced one by one: what a power loss
// takes is told by what the next start finds.
func (w *writer) append(fs durable.FS, path string, e Event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if w.f != nil && w.size+int64(len(line)) >= maxFile {
		// The old file goes only when the new one has its place.
		w.close()
		if err := fs.Rename(path, oldName(path)); err != nil {
			return err
		}
	}
	if w.f == nil {
		if err := w.open(fs, path); err != nil {
			return err
		}
	}
	n, err := w.f.WriteAt(append(line, '\n'), w.size)
	w.size += int64(n)
	return err
}

// open goes on where the file ends. A line that was torn there is ended, so that
// it spoils none but itself.
func (w *writer) open(fs durable.FS, path string) (err error) {
	w.f, err = fs.OpenReadWrite(path)
	if errors.Is(err, cairn.ErrNotExist) {
		w.f, err = fs.Create(path)
	}
	if err != nil {
		w.f = nil
		return err
	}
	if w.size, err = w.f.Size(); err != nil || w.size == 0 {
		return err
	}
	var last [1]byte
	if _, err := w.f.ReadAt(last[:], w.size-1); err != nil || last[0] == '\n' {
		return err
	}
	n, err := w.f.WriteAt([]byte{'\n'}, w.size)
	w.size += int64(n)
	return err
}

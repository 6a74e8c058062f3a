// Package keep looks after small state of other programs: what the [[keep]]
// tables of cairn.toml name, such as the dump of a database, is stored at
// intervals as ordinary objects, and laid out again beside a recovered store.
//
// Reading order: keep.go (Runner: when), source.go (a command or a file as a
// stream), version.go (what a kept object is called, and which ones go), lay.go
// (laying out), restore.go (the line that puts something back).
//
// It knows a store as its users do, by keys and bodies.
package keep

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/store"
)

// Bucket holds what is kept, as <name>/<time>.
const Bucket = "cairn-kept"

// again is how soon something that could not be kept is tried once more, where
// its interval is not shorter.
const again = 10 * time.Minute

// Store is what a Runner needs of the object engine.
type Store interface {
	CreateBucket(ctx context.Context, name string) error
	Put(ctx context.Context, p store.Put) (cairn.Object, error)
	Stat(ctx context.Context, k cairn.Key) (cairn.Object, error)
	Open(ctx context.Context, k cairn.Key) (cairn.Object, store.Source, error)
	List(ctx context.Context, r store.ListRequest) (store.Listing, error)
	Delete(ctx context.Context, k cairn.Key, c store.Condition) error
}

// Config says what is kept where; Store and Items are needed.
type Config struct {
	Store Store
	Items []config.Keep
	Log   *slog.Logger  // nil logs nothing
	Limit time.Duration // how long a command may take, default 1 h
}

// State is how one item is doing.
type State struct {
	Name  string  `json:"name"`
	Age   float64 `json:"age_s"` // of the newest that is kept; meaningful when Bytes is set
	Bytes int64   `json:"bytes"` // of it; 0 while there is none
	Error string  `json:"error,omitempty"`
}

// Runner keeps things. It is safe for concurrent use.
type Runner struct {
	c Config // never changes

	mu    sync.Mutex
	state []known // as c.Items; guarded by mu
}

type known struct {
	at    time.Time
	bytes int64
	err   error
}

// New makes a Runner; Run sets it going.
func New(c Config) *Runner {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Limit == 0 {
		c.Limit = time.Hour
	}
	return &Runner{c: c, state: make([]known, len(c.Items))}
}

// Run keeps each item at its interval until ctx ends; it returns when the last
// command has ended. What fails is logged, shown in State and tried again.
func (r *Runner) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for i := range r.c.Items {
		wg.Go(func() { r.tend(ctx, i) })
	}
	wg.Wait()
}

// State is how the items are doing, in order.
func (r *Runner) State() []State {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]State, len(r.state))
	for i, s := range r.state {
		out[i] = State{Name: r.c.Items[i].Name, Bytes: s.bytes}
		if s.bytes > 0 {
			out[i].Age = time.Since(s.at).Seconds()
		}
		if s.err != nil {
			out[i].Error = s.err.Error()
		}
	}
	return out
}

// tend keeps one item. What an earlier life kept counts: a restart is no reason
// to dump a database once more.
func (r *Runner) tend(ctx context.Context, i int) {
	k := r.c.Items[i]
	wait := time.Duration(0)
	if o, at, err := r.newest(ctx, k.Name); err == nil {
		r.note(i, at, o.Size, nil)
		wait = time.Until(at.Add(time.Duration(k.Every)))
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = time.Duration(k.Every)
		if err := r.once(ctx, i); err != nil && ctx.Err() == nil {
			r.c.Log.Error("not kept; it is tried again", "name", k.Name, "err", err)
			wait = min(wait, again)
		}
	}
}

func (r *Runner) note(i int, at time.Time, bytes int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.state[i]
	if s.err = err; err == nil {
		s.at, s.bytes = at, bytes
	}
}

// once keeps item i as it is now.
func (r *Runner) once(ctx context.Context, i int) error {
	bytes, err := r.keep(ctx, r.c.Items[i])
	if err != nil {
		err = fmt.Errorf("keep %s: %w", r.c.Items[i].Name, err)
	}
	r.note(i, time.Now(), bytes, err)
	return err
}

// keep stores one more version and then lets the oldest go: never the other way
// round.
func (r *Runner) keep(ctx context.Context, k config.Keep) (int64, error) {
	if err := r.c.Store.CreateBucket(ctx, Bucket); err != nil && !errors.Is(err, store.ErrBucketExists) {
		return 0, err
	}
	if old, _, err := r.newest(ctx, k.Name); err == nil && k.File != "" && same(old, k.File) {
		return old.Size, nil // versions of a file are those that differ
	}
	src, err := open(ctx, k, r.c.Limit)
	if err != nil {
		return 0, err
	}
	defer src.Close()
	sum, hash := md5.New(), sha256.New()
	o, err := r.c.Store.Put(ctx, store.Put{
		Key:  cairn.Key{Bucket: Bucket, Object: objectName(k.Name, time.Now())},
		Body: io.TeeReader(src, io.MultiWriter(sum, hash)), Size: -1,
		Meta: metaOf(k),
		Digest: func() (store.Digest, error) {
			return store.Digest{ETag: hex.EncodeToString(sum.Sum(nil)),
				Checksum: []cairn.Checksum{{Algorithm: checksum, Value: base64.StdEncoding.EncodeToString(hash.Sum(nil))}}}, nil
		},
	})
	if err != nil {
		return 0, err
	}
	return o.Size, r.prune(ctx, k)
}

// checksum is what every kept object has, so that a file that did not change
// is known.
const checksum = "SHA256"

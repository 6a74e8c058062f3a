// Package conform is the Remote contract as a list of checks. Tests run it
// over every transport, wrapper and double; `cairn node check` runs it live on
// a friend's node, so names and errors are sentences for a person. It needs no
// more of a node than a scratch directory, which it leaves empty, and knows
// nothing of transports, packs or keys.
//
// Reading order: conform.go (Run), then the checks: files.go, ranges.go,
// lists.go, names.go, together.go, abilities.go; tools.go is what they share.
package conform

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// Check is one clause of the contract.
type Check struct {
	Name string // a promise, as a sentence
	// Run returns nil when r keeps the promise, ErrNotOffered when r has not
	// the ability it is about, and otherwise what was seen instead. It works
	// below dir, where no file ever stood, and may leave files there.
	Run func(ctx context.Context, r backends.Remote, dir string) error
}

// ErrNotOffered is the class of a check's error when the Remote never promised
// what the check is about. It is no failure.
var ErrNotOffered = errors.New("not offered")

// Result is what one check found.
type Result struct {
	Name string
	Err  error // nil, ErrNotOffered, or what is wrong
	Took time.Duration
}

// OK reports whether the promise was kept, or never made.
func (r Result) OK() bool { return r.Err == nil || errors.Is(r.Err, ErrNotOffered) }

// String is one line for a person.
func (r Result) String() string {
	took := r.Took.Round(time.Millisecond)
	switch {
	case r.Err == nil:
		return fmt.Sprintf("ok    %s (%v)", r.Name, took)
	case r.OK():
		return fmt.Sprintf("skip  %s: %v", r.Name, r.Err)
	}
	return fmt.Sprintf("FAIL  %s: %v (%v)", r.Name, r.Err, took)
}

// Checks is the whole contract, cheap and telling checks first.
func Checks() []Check {
	return slices.Concat(files(), ranges(), lists(), names(), together(), abilities())
}

// dead is how many checks in a row may find the node not available before
// Run stops: each of the others would only wait for its deadlines.
const dead = 3

// cleaning bounds the time for removing what a check left behind.
const cleaning = time.Minute

// Run carries the checks out one after another below a fresh directory in dir
// and removes what each of them left. It reports every result to progress,
// which may be nil, as soon as it is known. It stops early, with fewer results
// than Checks has, when ctx ends or the node answers nothing any more.
func Run(ctx context.Context, r backends.Remote, dir string, progress func(Result)) []Result {
	var results []Result
	silent := 0
	for n, check := range Checks() {
		scratch := fmt.Sprintf("%s/%s-%02d", dir, random(), n)
		began := time.Now()
		err := check.Run(ctx, r, scratch)
		if e := clean(ctx, r, scratch); e != nil && err == nil {
			err = fmt.Errorf("its files could not be removed: %w", e)
		}
		result := Result{check.Name, err, time.Since(began)}
		results = append(results, result)
		if progress != nil {
			progress(result)
		}
		if silent++; !errors.Is(err, cairn.ErrUnavailable) {
			silent = 0
		}
		if ctx.Err() != nil || silent == dead {
			break
		}
	}
	return results
}

// clean deletes what is below dir, also when ctx has just ended.
func clean(ctx context.Context, r backends.Remote, dir string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleaning)
	defer cancel()
	var names []string
	for e, err := range r.List(ctx, dir) {
		if err != nil {
			return err
		}
		names = append(names, e.Name)
	}
	for _, name := range names {
		if err := r.Delete(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// random makes a directory that was never used: names are never reused.
func random() string {
	var b [6]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

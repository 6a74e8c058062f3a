package backends

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/cairn-storage/cairn"
)

const (
	listAhead   = 64 // entries a listing may be ahead of its consumer
	listRefills = 64 // entries that earn a listing its whole allowance back
)

// List runs the listing on a goroutine and hands its entries over.
func (d *deadline) List(ctx context.Context, dir string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if err := d.list(ctx, dir, yield); err != nil {
			yield(Entry{}, err)
		}
	}
}

// list returns the error that ends the listing, nil also when yield ended it.
func (d *deadline) list(ctx context.Context, dir string, yield func(Entry, error) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	told, cancel := context.WithCancel(ctx)
	defer cancel()
	entries := make(chan Entry, listAhead)
	f, err := d.begin(func() error {
		for e, err := range d.Inner.List(told, dir) {
			if err != nil {
				return err
			}
			select {
			case entries <- e:
			case <-told.Done():
				return told.Err()
			}
		}
		return nil
	})
	if err != nil {
		return err
	}

	// The allowance shrinks by the time waited and grows with each entry: one
	// entry may take all of it, but not each of them.
	left := d.config.Listing
	timer := time.NewTimer(left)
	defer timer.Stop()
	stop := func() {
		cancel()
		d.wind(f, patience(d.config.Small))
	}
	for {
		asked := time.Now()
		timer.Reset(left)
		select {
		case e := <-entries:
			left = min(left-time.Since(asked)+d.config.Listing/listRefills, d.config.Listing)
			if !yield(e, nil) {
				stop()
				return nil
			}
		case err := <-f.answer:
			for { // what it was ahead by
				select {
				case e := <-entries:
					if !yield(e, nil) {
						return nil
					}
					continue
				default:
				}
				break
			}
			if err != nil && ctx.Err() != nil {
				return fmt.Errorf("gave up: %w", ctx.Err())
			}
			return err
		case <-ctx.Done():
			stop()
			return fmt.Errorf("gave up: %w", ctx.Err())
		case <-timer.C:
			stop()
			return fmt.Errorf("listing too slow, nothing for %v: %w", time.Since(asked).Round(time.Millisecond), cairn.ErrUnavailable)
		}
	}
}

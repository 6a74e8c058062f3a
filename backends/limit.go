package backends

import (
	"context"
	"fmt"
	"iter"
)

// Limit lets at most n calls (at least 1) run on r at once. Others wait, no
// longer than their ctx. A listing holds its slot only while the node works
// for it, not while its consumer does, so that a consumer may call r.
func Limit(r Remote, n int) Remote {
	l := &limit{slots: make(chan struct{}, max(n, 1))}
	l.Around = Around{Inner: r, Do: l.do}
	return l
}

type limit struct {
	Around
	slots chan struct{} // one element for each running call
}

func (l *limit) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err // select would choose at random
	}
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for one of %d slots: %w", cap(l.slots), ctx.Err())
	}
}

func (l *limit) leave() { <-l.slots }

func (l *limit) do(ctx context.Context, _ Call, run func(context.Context) error) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.leave()
	return run(ctx)
}

func (l *limit) List(ctx context.Context, dir string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if err := l.enter(ctx); err != nil {
			yield(Entry{}, err)
			return
		}
		inside := true
		defer func() {
			if inside {
				l.leave()
			}
		}()
		for e, err := range l.Inner.List(ctx, dir) {
			l.leave()
			inside = false
			if !yield(e, err) || err != nil {
				return
			}
			if err := l.enter(ctx); err != nil {
				yield(Entry{}, err)
				return
			}
			inside = true
		}
	}
}

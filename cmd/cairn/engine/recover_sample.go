package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
	"golang.org/x/sync/errgroup"
)

const (
	sampleWidth = 8        // objects read at once
	sampleMost  = 64 << 20 // bytes read of one object
	unreadMost  = 20       // that are told of
)

// sample reads objects chosen by chance among all, from the nodes alone: what a
// rehearsal counts can then be read, too.
func (r *recoverer) sample(ctx context.Context, e *Engine) error {
	chosen, err := choose(ctx, e.Store, r.Sample)
	if err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	r.out.Sampled = len(chosen)
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(sampleWidth)
	for _, key := range chosen {
		g.Go(func() error {
			err := readWhole(ctx, e.Store, key)
			if err == nil || ctx.Err() != nil {
				return ctx.Err()
			}
			mu.Lock()
			defer mu.Unlock()
			if len(r.out.Unread) < unreadMost {
				r.out.Unread = append(r.out.Unread, fmt.Sprintf("%v: %v", key, err))
			}
			r.out.Failed++
			return nil
		})
	}
	return g.Wait()
}

// choose is n keys, each object as likely as any other.
func choose(ctx context.Context, s *store.Store, n int) ([]cairn.Key, error) {
	buckets, err := s.Buckets(ctx)
	if err != nil {
		return nil, err
	}
	var chosen []cairn.Key
	seen := 0
	for _, b := range buckets {
		list := store.ListRequest{Bucket: b.Name, Max: 1000}
		for more := true; more; {
			page, err := s.List(ctx, list)
			if err != nil {
				return nil, err
			}
			for _, o := range page.Objects {
				if seen++; len(chosen) < n {
					chosen = append(chosen, o.Key)
				} else if i := rand.IntN(seen); i < n {
					chosen[i] = o.Key
				}
			}
			list.After, more = page.Next, page.More
		}
	}
	return chosen, nil
}

func readWhole(ctx context.Context, s *store.Store, key cairn.Key) (err error) {
	o, src, err := s.Open(ctx, key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if o.Size == 0 {
		return nil
	}
	in, err := src.Range(ctx, 0, min(o.Size, sampleMost))
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.Copy(io.Discard, in)
	return err
}

package keep

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/store"
)

// stampForm is the time in the name of a kept object: UTC, sorted as it stands.
const stampForm = "20060102T150405.000Z"

// Metadata of a kept object, so that it can be put back where cairn.toml is
// lost too.
const (
	metaFile    = "cairn-file"    // absolute path
	metaCommand = "cairn-command" // JSON list
)

func objectName(item string, at time.Time) string {
	return item + "/" + at.UTC().Format(stampForm)
}

// parseName is the inverse of objectName. What is called otherwise was put
// there by somebody else and is left alone.
func parseName(object string) (item string, at time.Time, ok bool) {
	item, stamp, ok := strings.Cut(object, "/")
	if !ok {
		return "", at, false
	}
	at, err := time.Parse(stampForm, stamp)
	return item, at, err == nil && objectName(item, at) == object
}

func metaOf(k config.Keep) map[string]string {
	if k.File != "" {
		return map[string]string{metaFile: k.File}
	}
	b, err := json.Marshal(k.Command)
	if err != nil {
		panic("keep: " + err.Error()) // unreachable: strings always encode
	}
	return map[string]string{metaCommand: string(b)}
}

// versions calls each with every kept version of an item, oldest first, or with
// those of all items for "".
func versions(ctx context.Context, s Store, item string, each func(item string, at time.Time, o cairn.Object)) error {
	r := store.ListRequest{Bucket: Bucket, Max: 1000}
	if item != "" {
		r.Prefix = item + "/"
	}
	for {
		page, err := s.List(ctx, r)
		if err != nil {
			return err
		}
		for _, o := range page.Objects {
			if of, at, ok := parseName(o.Key.Object); ok {
				each(of, at, o)
			}
		}
		if !page.More {
			return nil
		}
		r.After = page.Next
	}
}

// newest is the newest version of an item; ErrNotExist when there is none.
func (r *Runner) newest(ctx context.Context, item string) (o cairn.Object, at time.Time, err error) {
	err = versions(ctx, r.c.Store, item, func(_ string, t time.Time, found cairn.Object) { o, at = found, t })
	if err == nil && at.IsZero() {
		err = fmt.Errorf("nothing is kept of %s: %w", item, cairn.ErrNotExist)
	}
	if err == nil {
		o, err = r.c.Store.Stat(ctx, o.Key) // a listing has no checksums
	}
	return o, at, err
}

// prune lets the oldest versions of k go.
func (r *Runner) prune(ctx context.Context, k config.Keep) error {
	var all []cairn.Key
	err := versions(ctx, r.c.Store, k.Name, func(_ string, _ time.Time, o cairn.Object) { all = append(all, o.Key) })
	if err != nil {
		return err
	}
	for _, key := range all[:max(0, len(all)-k.Keep)] {
		if err := r.c.Store.Delete(ctx, key, store.Condition{}); err != nil {
			return err
		}
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

func bucketCreateVerb() verb {
	return verb{
		name: "bucket create", args: "NAME", short: "make a bucket",
		usage: `
  --public   anyone may read its objects without a key`,
		try: `cairn bucket create cache`,
		run: runBucketCreate,
	}
}

func bucketListVerb() verb {
	return verb{name: "bucket list", short: "the buckets", try: `cairn bucket list`, run: runBucketList}
}

func bucketRemoveVerb() verb {
	return verb{name: "bucket rm", args: "NAME", short: "remove an empty bucket", try: `cairn bucket rm old`, run: runBucketRemove}
}

// bucket is one, as verbs have it.
type bucket struct {
	Name    string    `json:"name"`
	Public  bool      `json:"public"`
	Created time.Time `json:"created"`
	Objects int64     `json:"objects"`
	Bytes   int64     `json:"bytes"` // of its objects
	Quota   int64     `json:"quota"` // bytes, 0 for none
	CORS    bool      `json:"cors"`  // it has cross-origin rules
	Ack     string    `json:"ack"`   // staged, spread, or empty for the store's
}

// bucketOf is the bucket of that name as it is now.
func bucketOf(ctx context.Context, e *engine.Engine, name string) (bucket, error) {
	b, err := e.Store.Bucket(ctx, name)
	if err != nil {
		return bucket{}, err
	}
	u, err := e.Store.Usage(ctx, name)
	return bucket{Name: b.Name, Public: b.Public, Created: b.Created, Objects: u.Objects, Bytes: u.Bytes, Quota: b.Quota, CORS: b.CORS != "", Ack: b.Ack}, err
}

// bucketMaking is the argument of bucket create.
type bucketMaking struct {
	Name   string `json:"name"`
	Public bool   `json:"public"`
}

func createBucket() operation[bucketMaking, bucket] {
	return operation[bucketMaking, bucket]{"bucket create", func(ctx context.Context, e *engine.Engine, a bucketMaking, _ progress) (bucket, error) {
		if err := e.Store.CreateBucket(ctx, a.Name); err != nil {
			return bucket{}, fmt.Errorf("bucket %s: %w", a.Name, err)
		}
		if a.Public {
			if err := e.Store.SetBucketPublic(ctx, a.Name, true); err != nil {
				return bucket{}, fmt.Errorf("bucket %s was made, but not public: %w", a.Name, err)
			}
		}
		return bucketOf(ctx, e, a.Name)
	}}
}

func listBuckets() operation[none, []bucket] {
	return operation[none, []bucket]{"bucket list", func(ctx context.Context, e *engine.Engine, _ none, _ progress) ([]bucket, error) {
		bs, err := e.Store.Buckets(ctx)
		if err != nil {
			return nil, err
		}
		out := make([]bucket, 0, len(bs))
		for _, b := range bs {
			shown, err := bucketOf(ctx, e, b.Name)
			if errors.Is(err, cairn.ErrNotExist) { // removed since
				continue
			}
			if err != nil {
				return nil, err
			}
			out = append(out, shown)
		}
		return out, nil
	}}
}

func removeBucket() operation[named, named] {
	return operation[named, named]{"bucket rm", func(ctx context.Context, e *engine.Engine, a named, _ progress) (named, error) {
		if err := e.Store.DeleteBucket(ctx, a.Name); err != nil {
			return a, fmt.Errorf("bucket %s: %w", a.Name, err)
		}
		return a, nil
	}}
}

func runBucketCreate(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	public := f.Bool("public", false, "")
	rest, err := f.parse(args, 1, 1)
	if err != nil {
		return err
	}
	out, err := createBucket().do(ctx, f, bucketMaking{rest[0], *public})
	if err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	e.printf("Bucket %s is there.  Next: cairn access create --write %s\n", out.Name, out.Name)
	return nil
}

func runBucketList(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	out, err := listBuckets().do(ctx, f, none{})
	if err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	if len(out) == 0 {
		e.printf("no buckets yet.  Next: cairn bucket create cache\n")
		return nil
	}
	e.printf("%s", bucketsTable(out))
	return nil
}

func bucketsTable(bs []bucket) string {
	rows := [][]string{{"BUCKET", "PUBLIC", "OBJECTS", "USED", "QUOTA", "CORS", "ACK", "CREATED"}}
	for _, b := range bs {
		quota := "-"
		if b.Quota > 0 {
			quota = bytesText(b.Quota)
		}
		rows = append(rows, []string{b.Name, yesNo(b.Public), fmt.Sprint(b.Objects), bytesText(b.Bytes), quota, yesNo(b.CORS), orDash(b.Ack), b.Created.Format(time.DateOnly)})
	}
	return columns(rows)
}

func runBucketRemove(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	rest, err := f.parse(args, 1, 1)
	if err != nil {
		return err
	}
	out, err := removeBucket().do(ctx, f, named{rest[0]})
	if err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	e.printf("Bucket %s is gone.\n", out.Name)
	return nil
}

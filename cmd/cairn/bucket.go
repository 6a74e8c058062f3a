package main

import (
	"context"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/store"
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

func bucketSetVerb() verb {
	return verb{
		name: "bucket set", args: "NAME", short: "change a bucket",
		usage: `
  --public, --public=false   whether anyone may read its objects without a key`,
		try: `cairn bucket set cache --public`,
		run: runBucketSet,
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
}

func bucketOf(b store.Bucket) bucket { return bucket{b.Name, b.Public, b.Created} }

func createBucket() operation[bucket, bucket] {
	return operation[bucket, bucket]{"bucket create", func(ctx context.Context, e *engine.Engine, a bucket, _ func(string)) (bucket, error) {
		if err := e.Store.CreateBucket(ctx, a.Name); err != nil {
			return bucket{}, fmt.Errorf("bucket %s: %w", a.Name, err)
		}
		if a.Public {
			if err := e.Store.SetBucketPublic(ctx, a.Name, true); err != nil {
				return bucket{}, fmt.Errorf("bucket %s was made, but not public: %w", a.Name, err)
			}
		}
		b, err := e.Store.Bucket(ctx, a.Name)
		return bucketOf(b), err
	}}
}

func setBucket() operation[bucket, bucket] {
	return operation[bucket, bucket]{"bucket set", func(ctx context.Context, e *engine.Engine, a bucket, _ func(string)) (bucket, error) {
		if err := e.Store.SetBucketPublic(ctx, a.Name, a.Public); err != nil {
			return bucket{}, fmt.Errorf("bucket %s: %w", a.Name, err)
		}
		b, err := e.Store.Bucket(ctx, a.Name)
		return bucketOf(b), err
	}}
}

func listBuckets() operation[none, []bucket] {
	return operation[none, []bucket]{"bucket list", func(ctx context.Context, e *engine.Engine, _ none, _ func(string)) ([]bucket, error) {
		bs, err := e.Store.Buckets(ctx)
		out := make([]bucket, len(bs))
		for i, b := range bs {
			out[i] = bucketOf(b)
		}
		return out, err
	}}
}

func removeBucket() operation[named, named] {
	return operation[named, named]{"bucket rm", func(ctx context.Context, e *engine.Engine, a named, _ func(string)) (named, error) {
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
	out, err := createBucket().do(ctx, f, bucket{Name: rest[0], Public: *public})
	if err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	e.printf("Bucket %s is there.  Next: cairn access create --write %s\n", out.Name, out.Name)
	return nil
}

func runBucketSet(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	public := f.Bool("public", false, "")
	rest, err := f.parse(args, 1, 1)
	if err != nil {
		return err
	}
	if !f.given("public") {
		return usageError(v, "nothing to change was given")
	}
	out, err := setBucket().do(ctx, f, bucket{Name: rest[0], Public: *public})
	if err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	e.printf("%s", bucketsTable([]bucket{out}))
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
	rows := [][]string{{"BUCKET", "PUBLIC", "CREATED"}}
	for _, b := range bs {
		rows = append(rows, []string{b.Name, yesNo(b.Public), b.Created.Format(time.DateOnly)})
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

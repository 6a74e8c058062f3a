package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/gateway"
)

func bucketSetVerb() verb {
	return verb{
		name: "bucket set", args: "NAME", short: "change a bucket",
		usage: `
  --public, --public=false   whether anyone may read its objects without a key
  --quota SIZE|none          how much its objects may take together; copies count,
                             what is there already stays
  --cors FILE|none           which web pages may use it: the XML of S3, or the JSON
                             of aws s3api put-bucket-cors
  --ack staged|spread|default   when a PUT into it is answered: when this disk has it,
                             or m+1 nodes too; default is store.ack in cairn.toml`,
		try: `
cairn bucket set cache --public
cairn bucket set cache --quota 200G
cairn bucket set cairn-kept --ack spread`,
		run: runBucketSet,
	}
}

// bucketChange is the argument of bucket set; what is nil stays as it is.
type bucketChange struct {
	Name   string  `json:"name"`
	Public *bool   `json:"public,omitempty"`
	Quota  *int64  `json:"quota,omitempty"` // bytes, 0 for none
	CORS   *string `json:"cors,omitempty"`  // as a bucket has them, "" for none
	Ack    *string `json:"ack,omitempty"`   // staged, spread, or "" for the store's
}

func setBucket() operation[bucketChange, bucket] {
	return operation[bucketChange, bucket]{"bucket set", func(ctx context.Context, e *engine.Engine, a bucketChange, _ progress) (bucket, error) {
		var err error
		if a.Public != nil {
			err = e.Store.SetBucketPublic(ctx, a.Name, *a.Public)
		}
		if err == nil && a.Quota != nil {
			err = e.Store.SetBucketQuota(ctx, a.Name, *a.Quota)
		}
		if err == nil && a.CORS != nil {
			err = e.Store.SetBucketCORS(ctx, a.Name, *a.CORS)
		}
		if err == nil && a.Ack != nil {
			err = e.Store.SetBucketAck(ctx, a.Name, *a.Ack)
		}
		if err != nil {
			return bucket{}, fmt.Errorf("bucket %s: %w", a.Name, err)
		}
		return bucketOf(ctx, e, a.Name)
	}}
}

func runBucketSet(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	public := f.Bool("public", false, "")
	quota := f.String("quota", "", "")
	cors := f.String("cors", "", "")
	ack := f.String("ack", "", "")
	rest, err := f.parse(args, 1, 1)
	if err != nil {
		return err
	}
	c := bucketChange{Name: rest[0], Public: text(f, "public", public)}
	if f.given("quota") {
		if c.Quota, err = readQuota(*quota); err != nil {
			return err
		}
	}
	if f.given("cors") {
		if c.CORS, err = readCORS(*cors); err != nil {
			return err
		}
	}
	if f.given("ack") {
		if c.Ack, err = readAck(*ack); err != nil {
			return err
		}
	}
	if c == (bucketChange{Name: c.Name}) {
		return usageError(v, "nothing to change was given")
	}
	out, err := setBucket().do(ctx, f, c)
	if err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	e.printf("%s", bucketsTable([]bucket{out}))
	return nil
}

// readQuota is a limit in bytes, 0 for "none".
func readQuota(s string) (*int64, error) {
	if s == "none" {
		return new(int64), nil
	}
	var limit size
	if err := limit.Set(s); err != nil {
		return nil, fmt.Errorf("--quota: %w", err)
	}
	if limit == 0 {
		return nil, fmt.Errorf("--quota %s: give a size above 0, or none to end the limit: %w", s, cairn.ErrInvalid)
	}
	n := int64(limit)
	return &n, nil
}

// readCORS are the rules in a file, "" for "none".
func readCORS(name string) (*string, error) {
	if name == "none" {
		return new(string), nil
	}
	file, err := os.ReadFile(name)
	if err != nil {
		class := cairn.ErrInvalid
		if errors.Is(err, os.ErrNotExist) {
			class = cairn.ErrNotExist
		}
		return nil, fmt.Errorf("--cors: %w: %w", err, class)
	}
	rules, err := gateway.ParseCORS(file)
	if err != nil {
		return nil, fmt.Errorf("--cors %s: %w", name, err)
	}
	return &rules, nil
}

// readAck is when a PUT is answered, "" for "default".
func readAck(s string) (*string, error) {
	if s == "default" {
		return new(string), nil
	}
	var a config.Ack
	if err := a.UnmarshalText([]byte(s)); err != nil {
		return nil, fmt.Errorf("--ack: %w; or default, for what store.ack in cairn.toml says", err)
	}
	s = a.String()
	return &s, nil
}

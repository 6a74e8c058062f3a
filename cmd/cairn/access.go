package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/store"
)

func accessCreateVerb() verb {
	return verb{
		name: "access create", short: "make an S3 access key",
		usage: `
  --read BUCKET    list and read; "*" for all buckets; repeat for more
  --write BUCKET   also put and delete objects
  --admin BUCKET   also make and remove buckets
  --name NAME      for people
  --for CLIENT     what to print it ready to paste for: attic, aws, nix, rclone
                   or all; repeat for more (attic and aws)

The secret is printed once, in every form that was asked for; --json has all.`,
		try: `
cairn access create --name attic --write cache
cairn access create --name ci --write cache --for nix`,
		run: runAccessCreate,
	}
}

func accessListVerb() verb {
	return verb{name: "access list", short: "the access keys, without secrets", try: `cairn access list`, run: runAccessList}
}

func accessRevokeVerb() verb {
	return verb{name: "access revoke", args: "ID", short: "end an access key at once", try: `cairn access revoke CK7F2M9Q4T`, run: runAccessRevoke}
}

// access is an access key, as verbs have it.
type access struct {
	ID      string    `json:"id"`
	Secret  string    `json:"secret,omitempty"` // only when it was just made
	Name    string    `json:"name,omitempty"`
	Grants  []string  `json:"grants"` // bucket:level
	Created time.Time `json:"created"`
}

func accessOf(a store.Access) access {
	out := access{ID: a.ID, Name: a.Name, Created: a.Created, Grants: []string{}}
	for _, g := range a.Grants {
		out.Grants = append(out.Grants, g.Bucket+":"+g.Level.String())
	}
	return out
}

// wish is the argument of access create.
type wish struct {
	Name   string        `json:"name"`
	Grants []store.Grant `json:"grants"`
}

func createAccess() operation[wish, access] {
	return operation[wish, access]{"access create", func(ctx context.Context, e *engine.Engine, a wish, _ progress) (access, error) {
		for _, g := range a.Grants {
			if g.Bucket == "*" {
				continue
			}
			// A typing error here would be found by a client, much later.
			if _, err := e.Store.Bucket(ctx, g.Bucket); errors.Is(err, cairn.ErrNotExist) {
				return access{}, fmt.Errorf("bucket %s: %w; `cairn bucket create %s` makes it", g.Bucket, err, g.Bucket)
			} else if err != nil {
				return access{}, err
			}
		}
		made, err := e.Store.CreateAccess(ctx, a.Name, a.Grants)
		if err != nil {
			return access{}, err
		}
		out := accessOf(made)
		out.Secret = made.Secret
		return out, nil
	}}
}

func listAccess() operation[none, []access] {
	return operation[none, []access]{"access list", func(ctx context.Context, e *engine.Engine, _ none, _ progress) ([]access, error) {
		all, err := e.Store.Accesses(ctx)
		out := make([]access, len(all))
		for i, a := range all {
			out[i] = accessOf(a)
		}
		return out, err
	}}
}

func revokeAccess() operation[named, named] {
	return operation[named, named]{"access revoke", func(ctx context.Context, e *engine.Engine, a named, _ progress) (named, error) {
		if err := e.Store.RevokeAccess(ctx, a.Name); err != nil {
			return a, fmt.Errorf("access key %s: %w; `cairn access list` shows them", a.Name, err)
		}
		return a, nil
	}}
}

func runAccessCreate(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	var a wish
	var read, write, admin, clients list
	f.StringVar(&a.Name, "name", "", "")
	f.Var(&read, "read", "")
	f.Var(&write, "write", "")
	f.Var(&admin, "admin", "")
	f.Var(&clients, "for", "")
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	for _, g := range []struct {
		level   store.Level
		buckets list
	}{{store.Read, read}, {store.Write, write}, {store.Admin, admin}} {
		for _, b := range g.buckets {
			a.Grants = append(a.Grants, store.Grant{Bucket: b, Level: g.level})
		}
	}
	if len(a.Grants) == 0 {
		return usageError(v, "an access key needs at least one of --read, --write and --admin")
	}
	forms, err := formsFor(v, clients)
	if err != nil {
		return err
	}
	out, err := createAccess().do(ctx, f, a)
	if err != nil {
		return err
	}
	c, err := f.settings()
	if err != nil {
		return err
	}
	p := pasteOf(out, c, a.Grants[0].Bucket)
	if f.json {
		return e.json(made{out, p})
	}
	e.printf("access key  %s\nsecret      %s   (not shown again)\nmay         %s\n", out.ID, out.Secret, strings.Join(out.Grants, ", "))
	for _, form := range forms {
		e.printf("\n%s", form.text(p))
	}
	if len(clients) == 0 {
		e.printf("\n--for nix, rclone or all prints it for those, when a key is made.\n")
	}
	return nil
}

func runAccessList(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	out, err := listAccess().do(ctx, f, none{})
	if err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	if len(out) == 0 {
		e.printf("no access keys yet.  Next: cairn access create --write BUCKET\n")
		return nil
	}
	rows := [][]string{{"ACCESS KEY", "NAME", "MAY", "CREATED"}}
	for _, a := range out {
		rows = append(rows, []string{a.ID, orDash(a.Name), strings.Join(a.Grants, ", "), a.Created.Format(time.DateOnly)})
	}
	e.printf("%s", columns(rows))
	return nil
}

func runAccessRevoke(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	rest, err := f.parse(args, 1, 1)
	if err != nil {
		return err
	}
	out, err := revokeAccess().do(ctx, f, named{rest[0]})
	if err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	e.printf("Access key %s is revoked.\n", out.Name)
	return nil
}

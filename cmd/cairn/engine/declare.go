package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store"
)

// DeclareBuckets makes the buckets that cairn.toml declares, or changes them to
// what it says. It is idempotent and removes nothing.
func (e *Engine) DeclareBuckets(ctx context.Context) error {
	var errs []error
	for _, b := range e.c.File.Buckets {
		errs = append(errs, e.declareBucket(ctx, b))
	}
	return errors.Join(errs...)
}

// DeclareNodes is the same for nodes. One that cannot be reached or added now
// is in the error and stands in nobody's way: the others are applied.
func (e *Engine) DeclareNodes(ctx context.Context, progress func(string)) error {
	var errs []error
	nodes, err := e.Store.Nodes()
	if err != nil {
		return err
	}
	for _, n := range e.c.File.Nodes {
		i := slices.IndexFunc(nodes, func(o pack.Node) bool { return o.Name == n.Name })
		var old *pack.Node
		if i >= 0 {
			old = &nodes[i]
		}
		if err := e.declareNode(ctx, n, old, progress); err != nil {
			errs = append(errs, fmt.Errorf("declared node %s: %w", n.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) declareBucket(ctx context.Context, b config.Bucket) error {
	err := e.Store.CreateBucket(ctx, b.Name)
	if err != nil && !errors.Is(err, store.ErrBucketExists) {
		return fmt.Errorf("declared bucket %s: %w", b.Name, err)
	}
	old, err := e.Store.Bucket(ctx, b.Name)
	if err == nil && old.Public != b.Public {
		err = e.Store.SetBucketPublic(ctx, b.Name, b.Public)
	}
	if err != nil {
		return fmt.Errorf("declared bucket %s: %w", b.Name, err)
	}
	return nil
}

func (e *Engine) declareNode(ctx context.Context, n config.Node, old *pack.Node, progress func(string)) error {
	login, err := ReadLogin(n.KeyFile, n.PasswordFile)
	if err != nil {
		return err
	}
	if old == nil {
		_, err := e.AddNode(ctx, NodeSpec{Name: n.Name, Operator: n.Operator, Site: n.Site, Remote: n.Remote, HostKey: n.HostKey,
			Key: login.Key, Password: login.Password, Capacity: uint64(n.Capacity), Option: optionsOf(n)}, progress)
		return err
	}
	capacity := uint64(n.Capacity)
	c := NodeChange{Operator: &n.Operator, Site: &n.Site, Capacity: &capacity, Traffic: &n.Traffic, Hours: &n.Hours}
	if old.Remote != n.Remote {
		c.Remote = &n.Remote
	}
	if old.HostKey != n.HostKey {
		c.HostKey = &n.HostKey
	}
	same, err := e.sameLogin(*old, login)
	if err != nil {
		return err
	}
	if !same {
		c.Key, c.Password = &login.Key, &login.Password
	}
	if !c.reaches() && old.Operator == n.Operator && old.Site == n.Site && old.Capacity == capacity &&
		old.Option[optionTraffic] == n.Traffic && old.Option[optionHours] == n.Hours {
		return nil // as declared: no record
	}
	_, err = e.SetNode(ctx, n.Name, c)
	return err
}

// optionsOf are those options of a declared node that are cairn's own.
func optionsOf(n config.Node) map[string]string {
	out := make(map[string]string)
	for name, value := range map[string]string{optionTraffic: n.Traffic, optionHours: n.Hours} {
		if value != "" {
			out[name] = value
		}
	}
	return out
}

// sameLogin reports whether the record of n holds just this login.
func (e *Engine) sameLogin(n pack.Node, login Login) (bool, error) {
	if len(n.Credential) == 0 {
		return login == (Login{}), nil
	}
	old, err := e.credentialOf(n)
	if errors.Is(err, cairn.ErrDenied) {
		return false, nil // another identity sealed it: give it anew
	}
	return old == credential(login), err
}

// Login is what logs in to a node; empty for the gateway's own key.
type Login credential

// ReadLogin reads the secret files of a node; either name may be empty.
func ReadLogin(keyFile, passwordFile string) (l Login, err error) {
	if keyFile != "" {
		b, err := config.ReadSecret(keyFile)
		if err != nil {
			return l, err
		}
		l.Key = string(b)
	}
	if passwordFile != "" {
		b, err := config.ReadSecret(passwordFile)
		if err != nil {
			return l, err
		}
		l.Password = strings.TrimRight(string(b), "\r\n")
	}
	return l, nil
}

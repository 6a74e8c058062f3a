package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/sftp"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/recovery"
	"golang.org/x/crypto/ssh"
)

// find asks all nodes, and tells what they told.
func (r *recoverer) find(ctx context.Context) error {
	if err := r.ask(ctx); err != nil {
		r.tellFound()
		return r.admission(err)
	}
	r.tellFound()
	if len(r.found.Nodes) == 0 {
		return fmt.Errorf("recover: neither a root nor the kit names any node: %w", cairn.ErrLost)
	}
	return nil
}

// admission adds to err what lets the owner in to nodes that did not.
func (r *recoverer) admission(err error) error {
	out := slices.ContainsFunc(r.found.Answers, func(a recovery.NodeAnswer) bool { return errors.Is(a.Err, cairn.ErrDenied) })
	keys, kerr := r.keys(nil)
	if !out || !errors.Is(err, cairn.ErrDenied) || kerr != nil || len(keys) == 0 {
		return err
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(keys[0].PublicKey())))
	return fmt.Errorf("%w; ask the node's operator to put this line into authorized_keys there, or give the kit: %s", err, line)
}

// ask fills in r.found. A root may hold the gateway's own key, which opens nodes
// that did not let the owner in: then all are asked once more.
func (r *recoverer) ask(ctx context.Context) error {
	var gate []byte
	if r.Kit != nil {
		gate = r.Kit.Identity
	}
	err := r.askAs(ctx, gate)
	denied := slices.ContainsFunc(r.found.Answers, func(a recovery.NodeAnswer) bool { return a.Err != nil })
	if len(gate) == 0 && len(r.found.Identity) > 0 && denied && ctx.Err() == nil {
		return r.askAs(ctx, r.found.Identity)
	}
	return err
}

func (r *recoverer) askAs(ctx context.Context, gate []byte) error {
	keys, err := r.keys(gate)
	if err != nil {
		return err
	}
	c := recovery.FindConfig{Identity: r.Owner.Identity, Ages: r.Owner.Ages, Trust: r.Trust, Kit: r.Kit, Store: r.Store, Log: r.Log,
		Open: func(ctx context.Context, n pack.Node) (backends.Remote, error) {
			var login credential
			if len(n.Credential) > 0 {
				if err := json.Unmarshal(n.Credential, &login); err != nil {
					return nil, fmt.Errorf("node %s: its credential: %w", n.Name, cairn.ErrCorrupt)
				}
			}
			return r.open(ctx, n, login, keys)
		}}
	defer func() {
		for _, f := range c.From {
			_ = closeRemote(f.Remote) // it was for reading
		}
	}()
	for _, f := range r.From {
		n := pack.Node{Name: kindOf(f.Remote), Remote: f.Remote, HostKey: f.HostKey}
		remote, err := r.open(ctx, n, credential(f.Login), keys)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Remote, err)
		}
		c.From = append(c.From, recovery.Candidate{Node: n, Remote: remote})
	}
	r.found, err = recovery.Find(ctx, c)
	return err
}

// keys are what logs in where a node has no credential of its own, in order.
func (r *recoverer) keys(gate []byte) (keys []ssh.Signer, err error) {
	if len(gate) > 0 {
		id, err := crypt.ParseIdentity(gate)
		if err != nil {
			return nil, fmt.Errorf("recover: the former gateway's identity: %w", err)
		}
		key, err := sshKey(id)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if r.OwnerSSH != nil {
		keys = append(keys, r.OwnerSSH)
	}
	if r.Owner.Identity != nil {
		key, err := sshKey(*r.Owner.Identity)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// open connects to a node for reading, with its own login or the first of keys
// that it lets in.
func (r *recoverer) open(ctx context.Context, n pack.Node, login credential, keys []ssh.Signer) (backends.Remote, error) {
	ways := []func(*sftp.Config) error{login.into}
	if login == (credential{}) {
		ways = nil
		for _, key := range keys {
			ways = append(ways, func(c *sftp.Config) error { c.Key = key; return nil })
		}
		if len(keys) == 0 {
			ways = []func(*sftp.Config) error{func(*sftp.Config) error { return nil }}
		}
	}
	var err error
	for _, way := range ways {
		var remote backends.Remote
		if remote, err = r.dial(ctx, n, false, way); err == nil {
			return backends.Retry(backends.Limit(backends.Deadline(backends.Guard(readOnly(remote), backends.Bounds{}), r.Deadline), callsAtOnce), r.Retry), nil
		}
		if !errors.Is(err, cairn.ErrDenied) {
			break
		}
	}
	return nil, err
}

// tellFound fills in the report and tells it.
func (r *recoverer) tellFound() {
	f, out := r.found, &r.out.RecoverFound
	*out = RecoverFound{Store: f.Store, Short: f.Store.Short(), Nodes: len(f.Nodes), Forks: f.Forks, Notes: f.Notes}
	if r.Kit != nil {
		out.KitMade, out.KitRoot = time.UnixMilli(int64(r.Kit.Made)), r.Kit.Sequence
	}
	if f.HasRoot {
		out.Root, out.Written = f.Root.Sequence, time.UnixMilli(int64(f.Body.Written))
	}
	for _, a := range f.Answers {
		switch {
		case a.Err != nil:
			out.Silent = append(out.Silent, fmt.Sprintf("%s: %v", a.Name, a.Err))
			continue
		case a.Behind && a.Sequence == 0:
			out.Behind = append(out.Behind, a.Name+" shows no root that counts")
		case a.Behind:
			out.Behind = append(out.Behind, fmt.Sprintf("%s shows root %d", a.Name, a.Sequence))
		case f.HasRoot && a.Sequence == f.Root.Sequence:
			out.On = append(out.On, a.Name)
		}
		out.Answer++
	}
	if r.Found != nil {
		r.Found(*out)
	}
}

// alive refuses to take a store over from a gateway that may be at work, unless
// a person said that it is not.
func (r *recoverer) alive(ctx context.Context) error {
	if r.Takeover || r.Rehearse || !r.found.HasRoot || r.ours() {
		return nil
	}
	age := time.Since(time.UnixMilli(int64(r.found.Body.Written)))
	if age < liveFor {
		return fmt.Errorf("recover: the newest root, %d, was written %v ago: the old gateway may be alive, and two would write to one store; "+
			"stop it and run this again after %v, or add --takeover if it is off for good: %w",
			r.found.Root.Sequence, max(age, 0).Round(time.Second), (liveFor - max(age, 0)).Round(time.Second), cairn.ErrPrecondition)
	}
	before := r.found.RootHash
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(r.pause):
	}
	if err := r.ask(ctx); err != nil {
		return err
	}
	if r.found.RootHash != before {
		return fmt.Errorf("recover: root %d appeared while this looked: the old gateway is alive; stop it first: %w", r.found.Root.Sequence, cairn.ErrPrecondition)
	}
	return nil
}

// ours reports whether the newest root is of a recovery that was begun in this
// directory and cut off.
func (r *recoverer) ours() bool {
	if !r.again {
		return false
	}
	b, err := durable.ReadFile(r.FS, r.File.Identity, maxSecretsFile)
	if err != nil {
		return false
	}
	id, err := crypt.ParseIdentity(b)
	return err == nil && id.Sign().Public() == r.found.Root.Signer
}

package recovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// TakeoverConfig is what a new gateway is made from. Found and Random are
// needed.
type TakeoverConfig struct {
	Found Found
	// Owner is an owner's identity, which signs the delegation; nil where the
	// owners have none: the former gateway's identity then signs for the next.
	Owner *crypt.Identity
	// Owners are the recipients from now on; default those found.
	Owners []string
	// Until is the last of the log that counts of the gateways before. Zero:
	// not known yet; what they wrote counts until SetUntil says so.
	Until  pack.CutOff
	Now    uint64 // Unix milliseconds
	Random io.Reader
}

// Taken is a gateway that takes a store over: everything of it that is not in
// the store's directory yet.
type Taken struct {
	Identity   crypt.Identity
	Delegation []byte
	Number     uint64   // of Delegation
	Secrets             // the same epochs, wrapped and signed anew
	Unwrapped  []string // owners whose plugin does not work here, and why: these keys do not open for them
	Sequence   uint64
	Root       []byte // the takeover root
	Body       pack.RootBody

	name string // of the root's file
}

// MakeTakeover makes the next gateway of a store and its first root, and writes
// nothing. The gateway keeps the former one's age and SSH keys where they are
// known, so that secrets at rest open and nodes admit it, and signs with a key
// of its own under the next delegation: what the former one may still write is
// void from there on.
//
// ErrInvalid says what is missing: without an owner's signing key the former
// gateway's identity must have been found.
func MakeTakeover(c TakeoverConfig) (Taken, error) {
	f := c.Found
	if _, ok := f.Epochs[f.Epoch]; !ok {
		return Taken{}, fmt.Errorf("recovery: takeover: no key of an epoch that is open was found: %w", cairn.ErrInvalid)
	}
	if f.Number >= maxSequence || f.Top >= maxSequence {
		return Taken{}, fmt.Errorf("recovery: takeover: delegation %d or root %d leaves no number for the next: %w", f.Number, f.Top, cairn.ErrCorrupt)
	}
	t := Taken{Number: f.Number + 1, Sequence: f.Top + 1}
	former, err := t.identity(c)
	if err != nil {
		return Taken{}, err
	}
	signer, err := delegator(c, former)
	if err != nil {
		return Taken{}, err
	}
	public := t.Identity.Public()
	d, err := crypt.Delegate(signer, f.Store, t.Number, public.Sign, public.Recipient)
	if err != nil {
		return Taken{}, fmt.Errorf("recovery: takeover: %w", err)
	}
	t.Delegation = d.Encode()
	if err := t.wrap(c, public.Recipient); err != nil {
		return Taken{}, err
	}
	return t, t.root(c, public)
}

// identity makes the new gateway's, and returns the former's, nil where it is
// not known.
func (t *Taken) identity(c TakeoverConfig) (*crypt.Identity, error) {
	if len(c.Found.Identity) == 0 {
		var err error
		t.Identity, err = crypt.NewIdentity(crypt.Gateway, c.Found.Store, c.Random)
		return nil, err
	}
	former, err := crypt.ParseIdentity(c.Found.Identity)
	if err == nil {
		err = former.Need(crypt.Gateway)
	}
	if err == nil && former.Store() != c.Found.Store {
		err = fmt.Errorf("it is of store %s: %w", former.Store().Short(), cairn.ErrInvalid)
	}
	if err != nil {
		return nil, fmt.Errorf("recovery: takeover: the former gateway's identity: %w", err)
	}
	t.Identity, err = former.Successor(c.Random)
	return &former, err
}

// delegator is who signs for the new gateway.
func delegator(c TakeoverConfig, former *crypt.Identity) (crypt.SigningKey, error) {
	f := c.Found
	if c.Owner != nil && c.Owner.Kind() == crypt.Owner {
		key := c.Owner.Sign()
		if f.Owner == (crypt.PublicKey{}) || key.Public() == f.Owner {
			return key, nil
		}
	}
	if former == nil {
		return crypt.SigningKey{}, fmt.Errorf("recovery: takeover: the former gateway's identity was not found, so the owner's identity file that cairn init wrote is needed to sign for the next gateway: %w", cairn.ErrInvalid)
	}
	key := former.Sign()
	if n := len(f.Gateways); n == 0 || f.Gateways[n-1].Key != key.Public() {
		return crypt.SigningKey{}, fmt.Errorf("recovery: takeover: the gateway identity that was found is not of the gateway that wrote last, so nobody would believe the next one by it; "+
			"give the owner's identity file: %w", cairn.ErrInvalid)
	}
	return key, nil
}

// wrap makes the files of keys anew: only what the new gateway signed counts
// beside its roots.
func (t *Taken) wrap(c TakeoverConfig, recipient string) error {
	f := c.Found
	owners := c.Owners
	if owners == nil {
		owners = f.Owners
	}
	t.Secrets = Secrets{Epochs: f.Epochs, Epoch: f.Epoch, Owners: owners}
	for _, e := range f.Body.Epochs {
		if _, ok := f.Epochs[e.Number]; ok && e.Closed {
			t.Closed = append(t.Closed, e.Number)
		}
	}
	to := []string{recipient}
	for _, o := range owners {
		if slices.Contains(to, o) {
			continue
		}
		// One owner's plugin that this machine lacks must not keep another from
		// recovering. What was wrapped for them before stands on the nodes still,
		// and the next change of keys wraps for all.
		if r, err := crypt.ParseRecipient(o); err == nil && r.Plugin() != "" {
			if err := CheckRecipients([]string{o}); err != nil {
				t.Unwrapped = append(t.Unwrapped, fmt.Sprintf("%s: %v", o, err))
				continue
			}
		}
		to = append(to, o)
	}
	for epoch, key := range f.Epochs {
		b, err := WrapEpoch(key, epoch, f.Store, to, t.Identity.Sign())
		if err != nil {
			return fmt.Errorf("recovery: takeover: %w", err)
		}
		t.Keys = append(t.Keys, KeysFile{layout.KeyPath(epoch, crypt.KeysHash(b)), b})
	}
	return nil
}

// root makes the takeover root.
func (t *Taken) root(c TakeoverConfig, public crypt.Public) error {
	f := c.Found
	body := f.Body
	if !f.HasRoot {
		body = pack.RootBody{Nodes: f.Nodes, Coding: "auto", Ack: "staged"}
	}
	body.Gateways = slices.Clone(f.Gateways)
	SetUntil(&body, public.Sign, c.Until)
	body.Gateways = append(body.Gateways, pack.RootGateway{Key: public.Sign, Number: t.Number, Recipient: public.Recipient})
	body.Owners, body.Identity, body.Epochs = t.Owners, t.Identity.Encode(), t.epochs()
	body.Setting = cloneSetting(body.Setting)
	if f.Owner != (crypt.PublicKey{}) {
		setOwner(&body, f.Owner)
	} else if c.Owner != nil && c.Owner.Kind() == crypt.Owner {
		setOwner(&body, c.Owner.Sign().Public())
	}
	body.Written = max(c.Now, body.Written)
	r := pack.Root{Store: f.Store, Sequence: t.Sequence, Delegation: t.Delegation, Signer: public.Sign, Epoch: t.Epoch}
	if f.HasRoot {
		r.Prev = f.RootHash
		body.Ancestors = ancestors(f.RootHash, f.Body.Ancestors)
	}
	data, err := pack.SealRoot(r, body, t.Epochs[t.Epoch], c.Random, t.Identity.Sign())
	if err != nil {
		return fmt.Errorf("recovery: takeover: %w", err)
	}
	t.Root, t.Body = data, body
	t.name = (&rootFile{Root: r, hash: pack.RootHash(data)}).name()
	return nil
}

func cloneSetting(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// SetUntil says of every gateway of body but own, of which it is not said yet,
// that its log counts up to until.
func SetUntil(body *pack.RootBody, own crypt.PublicKey, until pack.CutOff) {
	for i := range body.Gateways {
		if g := &body.Gateways[i]; g.Key != own && g.Until.IsZero() {
			g.Until = until
		}
	}
}

// Write makes the takeover root durable in dir, the directory of the store to
// be, before any node sees it. ErrPrecondition where another root is there.
func (t Taken) Write(fs durable.FS, dir string) error {
	at := filepath.Join(dir, layout.RootsDir)
	if err := fs.MkdirAll(at); err != nil {
		return fmt.Errorf("recovery: takeover: %w", err)
	}
	names, err := localNames(fs, at)
	if err != nil {
		return err
	}
	if len(names) > 0 && (len(names) > 1 || names[0] != t.name) {
		return fmt.Errorf("recovery: takeover: %s holds roots of an earlier store; recover into an empty directory: %w", at, cairn.ErrPrecondition)
	}
	if err := durable.WriteFile(fs, filepath.Join(at, t.name), t.Root); err != nil {
		return fmt.Errorf("recovery: takeover: %w", err)
	}
	return nil
}

// Takeover writes the takeover root, here and then to every node that answers,
// and returns the keeper that goes on from it; of c, what t has is set from t.
// Where the root does not stand yet the keeper comes with ErrUnavailable, and
// Root(ctx, nil) tries again.
func Takeover(ctx context.Context, c Config, t Taken) (*Keeper, error) {
	if err := t.Write(c.FS, c.Dir); err != nil {
		return nil, err
	}
	t.Configure(&c)
	k, err := New(ctx, c)
	if err != nil {
		return nil, err
	}
	err = k.Root(ctx, nil)
	if err != nil && !errors.Is(err, cairn.ErrUnavailable) {
		return nil, errors.Join(err, k.Close(ctx))
	}
	return k, err
}

// Configure sets in c what t has.
func (t Taken) Configure(c *Config) {
	public := t.Identity.Public()
	c.Store, c.Sign, c.Delegation, c.Recipient, c.Identity = public.Store, t.Identity.Sign(), t.Delegation, public.Recipient, t.Identity.Encode()
	c.Epochs, c.Epoch, c.Closed, c.Keys, c.Owners = t.Epochs, t.Epoch, t.Closed, t.Keys, t.Owners
}

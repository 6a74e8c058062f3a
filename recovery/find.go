package recovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"filippo.io/age"
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/pack"
)

// askWidth is how many nodes are asked at once.
const askWidth = 16

// roundsMost bounds how often nodes newly learnt lead to others.
const roundsMost = 8

// Candidate is a node to ask, with a connection that its owner closes.
type Candidate struct {
	Node   pack.Node // as far as known; a zero ID is read from the node's marker
	Remote backends.Remote
}

// FindConfig is what a store is looked for with: somebody whose secrets open
// it, somebody whose word counts, and somewhere to ask.
type FindConfig struct {
	// Identity is an owner's or the gateway's own; nil for owners who brought
	// plain keys.
	Identity *crypt.Identity
	Ages     []age.Identity
	// Trust is keys of gateways to believe beside what Identity and Kit vouch
	// for: init and status print the gateway's.
	Trust []crypt.PublicKey
	Kit   *Kit
	// Store is needed where neither Identity nor Kit tells it.
	Store cairn.StoreID
	// From is nodes to begin with; those of Kit are asked as well.
	From []Candidate
	// Open connects to a node that the kit or a root names, whose Credential is
	// in the clear. Find closes what it opened.
	Open func(ctx context.Context, n pack.Node) (backends.Remote, error)
	Log  *slog.Logger
}

// Found is what a store's nodes tell. What is not vouched for is in none of its
// fields but Notes and the texts of Answers.
type Found struct {
	Store cairn.StoreID
	Owner crypt.PublicKey // that signs delegations; zero where none is known
	// HasRoot is false where no root is left that counts; Root to Body are then
	// zero, and the rest is from the files of keys and the kit.
	HasRoot   bool
	Root      pack.Root
	RootBytes []byte
	RootHash  crypt.Hash
	Body      pack.RootBody
	Epochs    map[uint32]crypt.EpochKey
	Epoch     uint32     // of them the newest that is not closed; 0 when there is none
	Keys      []KeysFile // the files of Epochs that count
	// Gateways whose signature counts, oldest first; the last wrote the newest
	// root. With Until as the newest root has it.
	Gateways []pack.RootGateway
	Number   uint64      // the highest of a delegation that counts
	Top      uint64      // the highest sequence of a root that counts, on the chain or not
	Nodes    []pack.Node // by the newest root, else by the kit, else those asked that answer
	Identity []byte      // the last gateway's identity file; nil where unknown
	Owners   []string
	Answers  []NodeAnswer // in order of name
	Forks    []string     // what shows that two gateways wrote at a time
	Notes    []string     // what a person should know
}

// NodeAnswer is what one node told.
type NodeAnswer struct {
	ID       cairn.NodeID
	Name     string
	Sequence uint64   // of the newest root there that is on the chain; 0 for none
	Behind   bool     // others have a newer one
	Off      []string // roots there that count by their signature and are not on the chain
	Err      error    // it did not answer, in whole or in part
}

// Find asks every node it can reach for keys and roots and returns the newest
// state that counts: delegations beat sequences, and nothing counts before its
// signature leads back to Identity, Kit or Trust. From one node's address the
// whole fleet is found, since roots name all nodes.
//
// What was found is returned beside an error, too. ErrInvalid says what is
// missing to begin, ErrUnavailable that no node answered, ErrDenied that none lets
// whoever asks in or that no key opens for them, ErrLost that there are no keys that count.
func Find(ctx context.Context, c FindConfig) (Found, error) {
	f, err := newFinder(c)
	if err != nil {
		return Found{}, err
	}
	todo := f.begin()
	for range roundsMost {
		if len(todo) == 0 || ctx.Err() != nil {
			break
		}
		f.round(ctx, todo)
		f.trust()
		f.openKeys()
		f.choose()
		todo = f.unasked()
	}
	out := f.found()
	switch {
	case ctx.Err() != nil:
		return out, fmt.Errorf("recovery: looking for store %s: %w: %w", f.store.Short(), ctx.Err(), cairn.ErrUnavailable)
	case len(out.Epochs) > 0:
		return out, nil
	case c.Kit == nil && len(out.Answers) > 0 && !slices.ContainsFunc(out.Answers, func(a NodeAnswer) bool { return !errors.Is(a.Err, cairn.ErrDenied) }):
		return out, fmt.Errorf("recovery: no node of store %s lets this identity in (%s): %w", f.store.Short(), causes(out.Answers), cairn.ErrDenied)
	case c.Kit == nil && !slices.ContainsFunc(out.Answers, func(a NodeAnswer) bool { return a.Err == nil }):
		return out, fmt.Errorf("recovery: no node of store %s answered (%s): %w", f.store.Short(), causes(out.Answers), cairn.ErrUnavailable)
	case f.unable != nil:
		return out, fmt.Errorf("recovery: the keys of store %s could not be tried: %w", f.store.Short(), f.unable)
	case f.denied > 0:
		return out, fmt.Errorf("recovery: this identity is of none of the owners of store %s: its keys are wrapped for others: %w", f.store.Short(), cairn.ErrDenied)
	case f.unvouched > 0:
		return out, fmt.Errorf("recovery: store %s: the %d files of keys that were found are signed by nobody whom the identity or the kit vouches for; "+
			"give the kit, or the gateway's key with --gateway (init printed it): %w", f.store.Short(), f.unvouched, cairn.ErrDenied)
	}
	return out, fmt.Errorf("recovery: no node that answers has keys of store %s (%s); give the kit, which holds them, or another node: %w", f.store.Short(), causes(out.Answers), cairn.ErrLost)
}

func causes(all []NodeAnswer) string {
	var out []string
	for _, a := range all {
		if a.Err != nil {
			out = append(out, strings.ReplaceAll(a.Err.Error(), "\n", "; "))
		}
	}
	if len(out) == 0 {
		return fmt.Sprintf("%d answered", len(all))
	}
	return strings.Join(out, "; ")
}

// finder is one search.
type finder struct {
	c     FindConfig
	store cairn.StoreID

	mu      sync.Mutex
	opened  map[string]crypt.EpochKey // files of keys by path, which names their hash
	unable  error                     // why an identity could not be tried, which is not that it does not fit
	answers map[string]*answer        // by key of the node; guarded by mu while nodes are asked
	roots   map[string]*rootFile
	files   map[string]KeysFile // of keys/, whoever signed them; guarded likewise

	vouched
	keys      map[uint32][]epochKey
	denied    int // files of keys that count and are wrapped for others
	unvouched int // files of keys that nobody vouches for
	best      *rootFile
	body      pack.RootBody
	chain     map[crypt.Hash]uint64 // the roots before best, with their sequence where known
	notes     []string
}

func newFinder(c FindConfig) (*finder, error) {
	f := &finder{c: c, store: c.Store, answers: make(map[string]*answer), roots: make(map[string]*rootFile), files: make(map[string]KeysFile), opened: make(map[string]crypt.EpochKey)}
	if f.c.Log == nil {
		f.c.Log = slog.New(slog.DiscardHandler)
	}
	claims := make(map[cairn.StoreID]bool)
	if c.Identity != nil {
		f.store = c.Identity.Store()
		claims[f.store] = true
	}
	if c.Kit != nil {
		f.store = c.Kit.Store
		claims[f.store] = true
	}
	if c.Store != (cairn.StoreID{}) {
		f.store = c.Store
		claims[f.store] = true
	}
	switch {
	case len(claims) == 0:
		return nil, fmt.Errorf("recovery: which store is it? give its kit, an identity that cairn init wrote, or its id: %w", cairn.ErrInvalid)
	case len(claims) > 1:
		return nil, fmt.Errorf("recovery: identity, kit and store id are not of one store: %w", cairn.ErrInvalid)
	case c.Identity == nil && len(c.Ages) == 0:
		return nil, fmt.Errorf("recovery: nothing opens without an owner's identity: %w", cairn.ErrInvalid)
	case len(c.From) == 0 && c.Kit == nil:
		return nil, fmt.Errorf("recovery: where is the store? give its kit or the address of one of its nodes: %w", cairn.ErrInvalid)
	}
	if c.Identity == nil && c.Kit == nil && len(c.Trust) == 0 {
		return nil, fmt.Errorf("recovery: whose word counts? without the kit, an owner who brought a key of their own must give the gateway's with --gateway (init printed it): "+
			"any node could otherwise make up a store: %w", cairn.ErrInvalid)
	}
	if c.Kit != nil {
		for _, k := range c.Kit.Keys {
			f.files[k.Path] = k
		}
		for _, g := range c.Kit.Gateways {
			if len(g.Delegation) > 0 {
				d := delegationFile(g.Delegation)
				f.files[d.Path] = d
			}
		}
	}
	return f, nil
}

var errNoOpen = errors.New("no way to connect was given")

// Package recovery keeps what a store is recovered from, and recovers it: the
// chain of roots on every node, the files of keys beside them, the kit for the
// owners, and the way back from an identity file and one node's address.
//
// Reading order: recovery.go (the Keeper and what it is made of), chain.go (the
// roots on this disk) with history.go, root.go (writing one) with body.go,
// secrets.go (epochs and owners change), visit.go (one node brought up to date)
// with shelf.go, put.go and prune.go, foreign.go (roots that are not ours) and
// fork.go, admit.go (which nodes may take shards), memory.go (what nodes
// confirmed), kept.go (what may not be deleted yet), loop.go, glance.go (is there
// another gateway?), status.go; kit.go with kitfile.go and recipient.go,
// identityfile.go; find.go with ask.go, trust.go and choose.go; takeover.go;
// hidden.go (why no secret prints).
//
// The order of durable steps of a root:
//
//  1. its file, fsynced here (chain.go), so that an own root seen on a node
//     after a crash is known as own
//  2. the files of keys on a node, then the root there, read back (visit.go)
//  3. it stands: m+1 nodes show it, and nodes it is the first to name may take
//     shards (admit.go)
//  4. what was confirmed, kept here (memory.go); roots older than the last
//     eight go, here only after their hashes are kept (history.go)
//
// recovery knows neither objects nor packs' contents, and never imports store.
package recovery

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
	"github.com/prometheus/client_golang/prometheus"
)

// keepRoots is how many roots of our own chain stay, here and on every node.
const keepRoots = 8

// Nodes is what a Keeper needs of a fleet.
type Nodes interface {
	// Each calls do with every node's connection, all at once, and returns the
	// outcome of each; do is not called for nodes that cannot be reached.
	Each(ctx context.Context, do func(ctx context.Context, n pack.Node, r backends.Remote) error) map[cairn.NodeID]error
	// Admit lets nodes take shards that are still as Each showed them.
	Admit(nodes ...pack.Node)
	// Suspect shows why a node is not to be relied on; "" ends it.
	Suspect(id cairn.NodeID, why string)
	// Changed is closed when nodes came, went or changed their state.
	Changed() <-chan struct{}
}

// KeysFile is a file of keys/ as it stands on every node.
type KeysFile struct {
	Path string // keys/<epoch>-<hash>
	Data []byte
}

// Secrets is what roots are sealed under, and what opens it for whom.
type Secrets struct {
	Epochs map[uint32]crypt.EpochKey // by number
	Epoch  uint32                    // of them, seals new roots
	Closed []uint32                  // epochs that no new pack takes
	Keys   []KeysFile                // of all epochs
	Owners []string                  // recipients, see crypt.ParseRecipient
}

// Config is what a Keeper is made of. FS, Dir, Store, Nodes, Sign,
// Epochs and Epoch are needed, the rest has defaults.
type Config struct {
	FS    durable.FS
	Dir   string // of the store; the keeper's files are in roots/ below it
	Store cairn.StoreID
	Nodes Nodes
	Sign  crypt.SigningKey
	// Delegation is the owner's word for Sign; empty where no owner signs.
	Delegation []byte
	// Gateways begin the list of the first root; default is this one alone.
	Gateways []pack.RootGateway
	// Recipient is the gateway's own, for the list of gateways.
	Recipient string
	// Epochs, Epoch, Closed, Keys and Owners are as in Secrets.
	Epochs map[uint32]crypt.EpochKey
	Epoch  uint32
	Closed []uint32
	Keys   []KeysFile
	Owners []string
	// Identity is the gateway's identity file, which a recovery logs in with.
	Identity []byte
	// Need is on how many nodes a root stands: m+1 of the coding new packs
	// have. Default is what the newest root's nodes and coding come to.
	Need func() int
	// Gone reports that a node is not waited for: a person gave it up, or it was
	// away for too long. It must not wait for the keeper; nil: none is.
	Gone func(cairn.NodeID) bool
	// Fork is told once, with an error of class ErrFork, when a node shows that
	// another gateway writes to the store. It must not wait for the keeper.
	Fork func(error)
	// Kit is told of every root whose nodes, owners, keys or gateways differ
	// from those of the root before, and at Start of the newest: what a kit
	// holds is then as the root says. Calls do not overlap.
	Kit func(pack.Root, pack.RootBody)
	// Check is how often every node's roots are looked at; default 1 h.
	Check time.Duration
	// Glance is how often one node's roots are looked at, each in its turn, for
	// another gateway that writes; default 1 min.
	Glance   time.Duration
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Keeper keeps the roots of one store, here and on its nodes. It is safe for
// concurrent use.
type Keeper struct {
	c      Config          // never changes; what SetSecrets changes is in secrets
	number uint64          // of our delegation; 0 without one
	owner  crypt.PublicKey // that signed it; zero without one
	m      *metrics
	life   context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	poked  chan struct{} // room for one: the background looks at all nodes now

	writing chan struct{} // held by whoever writes a root
	saving  chan struct{} // held by whoever writes memory

	mu      sync.Mutex
	secrets Secrets                      // guarded by mu
	version int                          // of secrets; guarded by mu
	chain   chain                        // guarded by mu
	nodes   map[cairn.NodeID]*nodeMemory // guarded by mu
	waiting []*request                   // changes for the next root; guarded by mu
	present []cairn.NodeID               // nodes of the fleet as last seen; nil before; guarded by mu
	enough  int                          // what Config.Need last said; guarded by mu
	saved   []byte                       // memory as the file has it; guarded by mu
	open    bool                         // enough nodes were seen without a fork; guarded by mu
	fork    error                        // guarded by mu
	forks   []string                     // what showed it; guarded by mu
	shown   map[string]bool              // roots that did, and by which node; guarded by mu
	glances int                          // counts them; guarded by mu
	last    error                        // of the last root that did not stand; guarded by mu
	logged  map[string]bool              // what was said once; guarded by mu
	news    chan struct{}                // closed and replaced when a node took a root; guarded by mu
	started bool                         // guarded by mu
	closed  bool                         // guarded by mu
}

// New reads the roots on this disk. A newest one that cannot be read is
// ErrCorrupt, and one that another gateway wrote ErrPrecondition: this
// directory is then to be recovered, not gone on with. It touches no node
// before Start or Root. It lives until Close; ctx lends its values.
func New(ctx context.Context, c Config) (*Keeper, error) {
	if c.FS == nil || c.Dir == "" || c.Nodes == nil || (c.Store == cairn.StoreID{}) {
		return nil, fmt.Errorf("recovery: incomplete configuration: %w", cairn.ErrInvalid)
	}
	secrets := Secrets{Epochs: c.Epochs, Epoch: c.Epoch, Closed: c.Closed, Keys: c.Keys, Owners: c.Owners}
	if err := secrets.check(); err != nil {
		return nil, err
	}
	if c.Check <= 0 {
		c.Check = time.Hour
	}
	if c.Glance <= 0 {
		c.Glance = time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{c: c, poked: make(chan struct{}, 1), writing: make(chan struct{}, 1), saving: make(chan struct{}, 1), secrets: secrets,
		logged: make(map[string]bool), shown: make(map[string]bool), news: make(chan struct{})}
	if err := k.delegated(); err != nil {
		return nil, err
	}
	if err := c.FS.MkdirAll(k.dir()); err != nil {
		return nil, fmt.Errorf("recovery: %w", err)
	}
	var err error
	if k.chain, err = k.load(); err != nil {
		return nil, err
	}
	if k.nodes, err = k.loadMemory(); err != nil {
		return nil, err
	}
	if err := k.loadForks(); err != nil {
		return nil, err
	}
	if k.m, err = k.newMetrics(c.Registry); err != nil {
		return nil, err
	}
	k.life, k.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return k, nil
}

// delegated checks our own delegation and notes what it says.
func (k *Keeper) delegated() error {
	if len(k.c.Delegation) == 0 {
		return nil
	}
	d, err := crypt.ParseDelegation(k.c.Delegation)
	if err == nil {
		err = d.Verify(d.Owner, k.c.Store)
	}
	if err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	if d.Gateway != k.c.Sign.Public() {
		return fmt.Errorf("recovery: delegation %d is to another gateway than this identity: %w", d.Number, cairn.ErrInvalid)
	}
	k.number, k.owner = d.Number, d.Owner
	return nil
}

func (s *Secrets) check() error {
	if _, ok := s.Epochs[s.Epoch]; !ok {
		return fmt.Errorf("recovery: no key for epoch %d: %w", s.Epoch, cairn.ErrInvalid)
	}
	for _, f := range s.Keys {
		if _, hash, err := layout.ParseKeyPath(f.Path); err != nil || hash != crypt.KeysHash(f.Data) {
			return fmt.Errorf("recovery: %s is not the file of keys its name says: %w", f.Path, cairn.ErrInvalid)
		}
	}
	return nil
}

func (k *Keeper) dir() string { return filepath.Join(k.c.Dir, layout.RootsDir) }

func (k *Keeper) path(name string) string { return filepath.Join(k.dir(), name) }

// once logs at most one line for key in the life of the keeper.
func (k *Keeper) once(key string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.logged[key] || len(k.logged) >= maxLogged {
		return false
	}
	k.logged[key] = true
	return true
}

// maxLogged bounds what is remembered of lines that are logged once.
const maxLogged = 1000

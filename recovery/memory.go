package recovery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// memoryFile keeps what nodes confirmed, so that one that shows older roots is
// noticed after a restart, too. It is written when a look at all nodes ends, and
// may be behind: then less is held against a node, never more.
const (
	memoryFile = "confirmed"
	memoryMost = 1 << 20 // bytes
)

// nodeMemory is what is known of one node. turn is held by whoever visits it;
// the rest is guarded by Keeper.mu.
type nodeMemory struct {
	turn chan struct{}

	name      string
	at        pack.Node  // its address as it was last visited
	confirmed uint64     // sequence of the newest own root that stands there; 0 for none
	rolled    string     // why it is suspect: it showed less than it confirmed
	has       crypt.Hash // the own root last read there in this life
	again     bool       // its roots are listed at the next visit, whenever they were last
	listed    time.Time  // when its roots were last listed without a fork; zero in this life: never
	keys      int        // 1 + version of the secrets whose files stand there; 0 for none
	shelf     []string   // own roots there, as far as known
	judged    map[string]bool
	err       error // of the last visit
	tried     uint64
}

// memoryText is one node in the file.
type memoryText struct {
	Confirmed uint64 `json:"confirmed"`
	Rolled    string `json:"rolled,omitempty"`
}

func (k *Keeper) loadMemory() (map[cairn.NodeID]*nodeMemory, error) {
	nodes := make(map[cairn.NodeID]*nodeMemory)
	b, err := durable.ReadFile(k.c.FS, k.path(memoryFile), memoryMost)
	if errors.Is(err, cairn.ErrNotExist) {
		return nodes, nil
	}
	if err != nil {
		return nil, fmt.Errorf("recovery: %w", err)
	}
	var text map[string]memoryText
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&text); err != nil {
		return nil, fmt.Errorf("recovery: %s: %v; without it nodes that show older roots are not noticed once: remove it to go on: %w", k.path(memoryFile), err, cairn.ErrCorrupt)
	}
	for name, t := range text {
		id, err := cairn.ParseNodeID(name)
		if err != nil {
			return nil, fmt.Errorf("recovery: %s: node %q: %w", k.path(memoryFile), name, cairn.ErrCorrupt)
		}
		m := newMemory()
		m.confirmed, m.rolled = t.Confirmed, t.Rolled
		nodes[id] = m
	}
	return nodes, nil
}

func newMemory() *nodeMemory {
	return &nodeMemory{turn: make(chan struct{}, 1), judged: make(map[string]bool)}
}

// save writes memory where it differs from what saved holds.
func (k *Keeper) save(ctx context.Context) {
	select {
	case k.saving <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-k.saving }()
	text := make(map[string]memoryText)
	k.mu.Lock()
	for id, m := range k.nodes {
		if m.confirmed > 0 || m.rolled != "" {
			text[id.String()] = memoryText{m.confirmed, m.rolled}
		}
	}
	before := k.saved
	k.mu.Unlock()
	b, err := json.Marshal(text)
	if err != nil {
		panic("recovery: " + err.Error()) // unreachable: strings and numbers
	}
	if bytes.Equal(b, before) {
		return
	}
	if err := durable.WriteFile(k.c.FS, k.path(memoryFile), b); err != nil {
		k.c.Log.Warn("what nodes confirmed is not kept", "err", err)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.saved = b
}

// memory is what is known of a node, made where nothing is.
func (k *Keeper) memory(id cairn.NodeID) *nodeMemory {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.nodes[id]
	if m == nil {
		m = newMemory()
		k.nodes[id] = m
	}
	return m
}

// Forgive ends what a rollback left held against a node, after a person looked
// at it; with emptied, also what it confirmed: the person says that its disk is a
// new one. ErrNotExist when nothing is known of it.
func (k *Keeper) Forgive(ctx context.Context, id cairn.NodeID, emptied bool) error {
	k.mu.Lock()
	m := k.nodes[id]
	if m != nil {
		m.rolled = ""
		if emptied {
			m.confirmed, m.again = 0, true
		}
	}
	k.mu.Unlock()
	if m == nil {
		return fmt.Errorf("recovery: node %v: %w", id, cairn.ErrNotExist)
	}
	k.save(ctx)
	k.c.Nodes.Suspect(id, "")
	return nil
}

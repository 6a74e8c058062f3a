package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/recovery"
)

// Kit is a recovery kit as it is to be written.
type Kit struct {
	Data   []byte `json:"data"`
	Root   uint64 `json:"root"`
	Nodes  int    `json:"nodes"`
	Owners int    `json:"owners"`
}

// KitState is what is known of the newest kit that was written.
type KitState struct {
	Path  string    `json:"path,omitempty"` // kit in cairn.toml: rewritten by itself
	At    time.Time `json:"at"`             // zero for never
	Root  uint64    `json:"root"`
	Stale bool      `json:"stale"` // nodes or owners changed since
	Error string    `json:"error,omitempty"`
}

// kitNote, below secrets/, remembers the newest kit. What it holds of nodes and
// owners is there as a hash.
const kitNote = "kit"

type kitNoted struct {
	At   time.Time  `json:"at"`
	Root uint64     `json:"root"`
	Of   crypt.Hash `json:"of"` // what the kit tells
}

// kitWriter writes the kit that cairn.toml names, and remembers when one was
// written. It is safe for concurrent use.
type kitWriter struct {
	fs   durable.FS
	dir  string
	path string // empty: nobody asked for one
	make func() (recovery.Kit, error)
	log  *slog.Logger

	turn chan struct{} // held by whoever writes: it waits for the disk, and state for nobody

	mu   sync.Mutex
	note kitNoted   // guarded by mu, as all below
	now  crypt.Hash // what a kit would tell now; zero before the first root
	err  error      // of the last kit that was to be written
}

// newKitWriter makes one that gets its kits from make.
func newKitWriter(c Config, make func() (recovery.Kit, error)) *kitWriter {
	w := &kitWriter{fs: c.FS, dir: c.File.Dir, path: c.File.Kit, make: make, log: c.Log, turn: newTurn()}
	if b, err := durable.ReadFile(c.FS, w.noteName(), maxSecretsFile); err == nil {
		_ = json.Unmarshal(b, &w.note) // one that does not parse is none
	}
	return w
}

func (w *kitWriter) noteName() string { return filepath.Join(w.dir, secretsDir, kitNote) }

// tells is the hash of all that a kit tells but its date.
func tells(k recovery.Kit) crypt.Hash {
	text, err := json.Marshal(struct {
		Nodes    []pack.Node
		Owners   []string
		Keys     []recovery.KeysFile
		Gateways []recovery.KitGateway
	}{k.Nodes, k.Owners, k.Keys, k.Gateways})
	if err != nil {
		panic("engine: " + err.Error()) // unreachable: these always encode
	}
	return crypt.Sum(text)
}

// hear is told of every root that makes the kit another one, and of the newest
// at the start. It waits for this disk only.
func (w *kitWriter) hear(pack.Root, pack.RootBody) {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	kit, err := w.make()
	if err == nil {
		w.mu.Lock()
		w.now = tells(kit)
		same := w.note.Of == w.now
		w.mu.Unlock()
		if w.path == "" || same && w.stands() {
			return
		}
		err = w.write(kit)
	}
	w.mu.Lock()
	w.err = err
	w.mu.Unlock()
	if err != nil {
		w.log.Error("the recovery kit could not be written", "path", w.path, "err", err)
		return
	}
	w.log.Info("recovery kit written", "path", w.path, "root", kit.Sequence)
}

// stands reports whether there is a file where the kit belongs.
func (w *kitWriter) stands() bool {
	_, err := w.fs.Size(w.path)
	return err == nil
}

// write seals and writes the kit of cairn.toml; the turn is held.
func (w *kitWriter) write(kit recovery.Kit) error {
	data, err := recovery.SealKit(kit, kit.Owners)
	if err == nil {
		err = durable.WriteFile(w.fs, w.path, data)
	}
	if err != nil {
		return fmt.Errorf("recovery kit %s: %w", w.path, err)
	}
	return w.remember(kit)
}

// remember notes that a kit was written; the turn is held.
func (w *kitWriter) remember(kit recovery.Kit) error {
	note := kitNoted{At: time.Now(), Root: kit.Sequence, Of: tells(kit)}
	w.mu.Lock()
	w.now, w.note = note.Of, note
	w.mu.Unlock()
	b, err := json.Marshal(note)
	if err != nil {
		return err
	}
	return durable.WriteFile(w.fs, w.noteName(), append(b, '\n'))
}

// handOut is a kit for a person to write down.
func (w *kitWriter) handOut() (Kit, error) {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	kit, err := w.make()
	if err != nil {
		return Kit{}, err
	}
	data, err := recovery.SealKit(kit, kit.Owners)
	if err != nil {
		return Kit{}, err
	}
	return Kit{Data: data, Root: kit.Sequence, Nodes: len(kit.Nodes), Owners: len(kit.Owners)}, w.remember(kit)
}

// newTurn is free.
func newTurn() chan struct{} { return make(chan struct{}, 1) }

func (w *kitWriter) state() KitState {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := KitState{Path: w.path, At: w.note.At, Root: w.note.Root, Stale: w.now != crypt.Hash{} && w.note.Of != w.now}
	if w.err != nil {
		s.Error = w.err.Error()
	}
	return s
}

// KitPath is where the kit is rewritten by itself, or empty.
func (e *Engine) KitPath() string { return e.c.File.Kit }

// MakeKit is the recovery kit as of now, after a root that stands. ErrFork where
// a node tells that another gateway has the store: its kit counts.
func (e *Engine) MakeKit(ctx context.Context) (Kit, error) {
	if err := e.Alone(ctx); err != nil {
		return Kit{}, err
	}
	if err := e.keeper.Root(ctx, e.amend); err != nil && !errors.Is(err, cairn.ErrUnavailable) {
		return Kit{}, err // else the kit is good with the nodes that answer
	}
	return e.kit.handOut()
}

package recovery

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// forkPrefix begins the names of roots kept here as evidence of a fork. While
// one counts as such nothing is written, also after a restart in which the node
// that showed it does not answer; a takeover, with its higher delegation, ends
// that by itself.
const forkPrefix = "fork-"

// forksMost bounds how many forks are kept and shown.
const forksMost = 8

// forked is what Root returns once a fork was seen, else nil.
func (k *Keeper) forked() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fork
}

// setFork stops all writing, keeps the evidence that node showed and tells
// Config.Fork, once. Every node may show the same root, again and again and
// several at once: each is listed once, and the root kept and logged once.
func (k *Keeper) setFork(err error, node string, f *rootFile) {
	k.mu.Lock()
	first := k.fork == nil
	if first {
		k.fork = err
	}
	by := f.name() + " " + node
	news := len(k.forks) < forksMost && !k.shown[by]
	kept := k.shown[f.name()]
	if news {
		k.forks = append(k.forks, err.Error())
		k.shown[by], k.shown[f.name()] = true, true
	}
	k.announce()
	k.mu.Unlock()
	if !news || kept {
		return
	}
	k.c.Log.Error("fork", "err", err)
	if werr := durable.WriteFile(k.c.FS, k.path(forkPrefix+f.name()), f.data); werr != nil {
		k.c.Log.Warn("the root that shows the fork is not kept here", "err", werr)
	}
	if first && k.c.Fork != nil {
		k.c.Fork(err)
	}
}

// loadForks judges the evidence that an earlier run kept.
func (k *Keeper) loadForks() error {
	names, err := k.c.FS.List(k.dir())
	if err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	for _, name := range names {
		base, ok := strings.CutPrefix(name, forkPrefix)
		seq, hash, isRoot := parseName(base)
		if !ok || !isRoot || k.chain.owns(seq, hash) {
			continue
		}
		data, err := durable.ReadFile(k.c.FS, k.path(name), pack.MaxRoot)
		if err != nil && !errors.Is(err, cairn.ErrCorrupt) {
			return fmt.Errorf("recovery: %w", err)
		}
		f, err := openFile(base, data, k.c.Store)
		if err != nil {
			continue // no evidence
		}
		if err := k.verdict(pack.Node{Name: "(seen earlier, kept in " + k.path(name) + ")"}, f); err != nil {
			k.fork, k.forks = err, append(k.forks, err.Error())
			return nil
		}
	}
	return nil
}

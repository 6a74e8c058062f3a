package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
)

const (
	stateFile    = "demo.json"
	stateVersion = 1
	maxStateFile = 16 << 20 // bytes
)

// state is what a demo remembers for its next start, in demo.json; the rest
// is in the store and on the nodes.
type state struct {
	Version   int      `json:"version"`
	Addresses []string `json:"addresses"` // of the nodes, in order; empty before the first start
	S3        string   `json:"s3"`        // address of the endpoint
	Admin     string   `json:"admin"`     // and of health and metrics
	Seed      uint64   `json:"seed"`      // of the objects
	Loads     []batch  `json:"loads"`
}

// batch is one load: objects first to first+n-1.
type batch struct {
	First int `json:"first"`
	N     int `json:"n"`
	// Done is false from before the first PUT until after the last answer. Of
	// a load that was cut off any object may be there or not.
	Done bool `json:"done"`
	// Refused are those of a load that were not acknowledged.
	Refused []int `json:"refused,omitempty"`
}

// promised reports whether object i was acknowledged for certain.
func (b batch) promised(i int) bool { return b.Done && !slices.Contains(b.Refused, i) }

// next is the number of the first object that no load has used.
func (s *state) next() int {
	if len(s.Loads) == 0 {
		return 0
	}
	last := s.Loads[len(s.Loads)-1]
	return last.First + last.N
}

func (s *state) write(fs durable.FS, dir string) error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return durable.WriteFile(fs, filepath.Join(dir, stateFile), append(b, '\n'))
}

// readState returns what an earlier demo in dir left, and begins one with so
// many nodes where there is none; it writes nothing. ErrPrecondition for a
// directory that holds anything else, or another number of nodes than is asked
// for; 0 takes what is there.
func readState(fs durable.FS, dir string, nodes int) (*state, error) {
	b, err := durable.ReadFile(fs, filepath.Join(dir, stateFile), maxStateFile)
	if errors.Is(err, cairn.ErrNotExist) {
		return newState(fs, dir, nodes)
	}
	if err != nil {
		return nil, err
	}
	s := &state{}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", filepath.Join(dir, stateFile), cairn.ErrCorrupt, err)
	}
	switch {
	case s.Version != stateVersion || len(s.Addresses) == 0:
		return nil, fmt.Errorf("%s is of another version of cairn demo: %w", filepath.Join(dir, stateFile), cairn.ErrInvalid)
	case nodes != 0 && nodes != len(s.Addresses):
		return nil, fmt.Errorf("the demo in %s has %s and goes on with them; leave --nodes out or give another --dir: %w", dir, plural(len(s.Addresses), "node"), cairn.ErrPrecondition)
	}
	return s, nil
}

// begun are the names that a demo may have made before its demo.json.
var begun = []string{lockFile, logFile, stateFile + durable.TempSuffix}

func newState(fs durable.FS, dir string, nodes int) (*state, error) {
	names, err := fs.List(dir)
	if err != nil && !errors.Is(err, cairn.ErrNotExist) {
		return nil, err
	}
	for _, name := range names {
		if !slices.Contains(begun, name) {
			return nil, fmt.Errorf("%s holds %s and no demo; give an empty or new directory: %w", dir, name, cairn.ErrPrecondition)
		}
	}
	if nodes == 0 {
		nodes = defaultNodes
	}
	return &state{Version: stateVersion, Seed: rand.Uint64(), Addresses: make([]string, nodes)}, nil
}

package integration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
)

// Model is what must be readable: for each object the versions that it may
// have now. Version 0 is "no object". An acknowledged write leaves one
// version; a write whose answer never came adds one until somebody looks.
type Model struct {
	Objects Objects

	mu       sync.Mutex
	possible map[int][]int // guarded by mu; absent: never written
	round    map[int]int   // guarded by mu; round of the last write
}

// NewModel knows of no object.
func NewModel(o Objects) *Model {
	return &Model{Objects: o, possible: map[int][]int{}, round: map[int]int{}}
}

// Begin notes that version v of object i is about to be written (0: deleted).
func (m *Model) Begin(round, i, v int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.possible[i] == nil {
		m.possible[i] = []int{0}
	}
	m.possible[i] = append(m.possible[i], v)
	m.round[i] = round
}

// Acknowledged notes that the write of version v succeeded.
func (m *Model) Acknowledged(i, v int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.possible[i] = []int{v}
}

// Written is the objects whose last write lies in rounds from to to.
func (m *Model) Written(from, to int) (list []int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, r := range m.round {
		if r >= from && r <= to {
			list = append(list, i)
		}
	}
	slices.Sort(list)
	return list
}

// Versions is what object i may be now.
func (m *Model) Versions(i int) []int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.possible[i])
}

// VersionSize is the size of a version; overwriting changes it.
func (m *Model) VersionSize(i, v int) int { return m.Objects.Size(i) + 7*(v-1) }

// VersionBody is the content of a version.
func (m *Model) VersionBody(i, v int) []byte { return m.Objects.Version(i, v, m.VersionSize(i, v)) }

// Check reads object i. It must be one of the versions it may be, exactly; from
// then on it is that one.
func (m *Model) Check(ctx context.Context, c *Client, i int) error {
	may := m.Versions(i)
	got, err := c.Get(ctx, m.Objects.Key(i))
	switch {
	case Status(err) == http.StatusNotFound:
		if !slices.Contains(may, 0) {
			return fmt.Errorf("%s: LOST: version %v was acknowledged and there is no such object", m.Objects.Key(i), may)
		}
		m.Acknowledged(i, 0)
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", m.Objects.Key(i), err)
	}
	for _, v := range may {
		if v > 0 && compare("", got, m.VersionBody(i, v)) == nil {
			m.Acknowledged(i, v)
			return nil
		}
	}
	if slices.Equal(may, []int{0}) {
		return &WrongBytes{m.Objects.Key(i), fmt.Sprintf("%d bytes of an object that was deleted", len(got))}
	}
	return &WrongBytes{m.Objects.Key(i), fmt.Sprintf("%d bytes that are none of the versions %v", len(got), may)}
}

// CheckList compares a listing of everything with the model, whose objects
// were all checked before.
func (m *Model) CheckList(keys []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	listed := map[string]bool{}
	for _, k := range keys {
		listed[k] = true
	}
	var errs []error
	for i, may := range m.possible {
		key := m.Objects.Key(i)
		switch there := may[0] != 0; {
		case there && !listed[key]:
			errs = append(errs, fmt.Errorf("%s can be read and is not listed", key))
		case !there && listed[key]:
			errs = append(errs, fmt.Errorf("%s is listed and cannot be read", key))
		}
		delete(listed, key)
	}
	for key := range listed {
		errs = append(errs, fmt.Errorf("%s is listed and was never written", key))
	}
	return errors.Join(errs...)
}

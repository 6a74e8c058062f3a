package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
)

// resumeStore is a store over real directories whose verbs are killed.
type resumeStore struct {
	*gateway
	dirs    map[string]string // of the nodes n1, n2 and so on
	objects Objects
	sizes   []int
	client  *Client
}

// newResume makes a store of so many nodes whose cairn.toml says more, starts its
// gateway and writes so many objects of a size.
func newResume(t *testing.T, ctx context.Context, more string, nodes, objects, size int) *resumeStore {
	t.Helper()
	s := &resumeStore{dirs: make(map[string]string), objects: Objects{seed(t)}}
	s.gateway = newGateway(t, ctx, more+"[cache]\nlimit = \"0B\"\nmemory = \"0B\"\n")
	t.Cleanup(func() {
		s.kill()
		if t.Failed() && s.said != nil {
			t.Logf("the gateway said:\n%s", s.said)
		}
	})
	s.start() // which holds the records of nodes back until all are there: no pack is coded for fewer
	for i := range nodes {
		name := fmt.Sprintf("n%d", i+1)
		s.dirs[name] = s.addLocal(name)
	}
	s.do("bucket", "create", "kept")
	s.client = NewClient("http://"+s.address, "kept", s.access("--write", "kept"), 4)
	t.Cleanup(s.client.Close)
	s.load(objects, size, false)
	return s
}

// load writes objects, each into a pack of its own where asked for, and waits until
// the nodes alone have them.
func (s *resumeStore) load(objects, size int, apart bool) {
	s.t.Helper()
	for range objects {
		i := len(s.sizes)
		if err := s.client.Put(s.ctx, s.objects.Key(i), s.objects.Version(i, 0, size)); err != nil {
			s.t.Fatal(err)
		}
		s.sizes = append(s.sizes, size)
		if apart {
			s.do("flush")
		}
	}
	s.do("flush")
	s.unstaged()
}

// unstaged waits until the stage is empty.
func (s *resumeStore) unstaged() {
	s.t.Helper()
	eventually(s.t, s.ctx, "the stage is empty", func(context.Context) error {
		var told struct {
			Staged *int `json:"packs_staged"`
		}
		if err := json.Unmarshal([]byte(s.do("status", "--json")), &told); err != nil || told.Staged == nil || *told.Staged > 0 {
			return errors.Join(err, fmt.Errorf("%+v", told))
		}
		return nil
	})
}

// whole fails unless every object reads exactly.
func (s *resumeStore) whole() {
	s.t.Helper()
	_, errs := Each(s.ctx, len(s.sizes), 4, func(ctx context.Context, i int) error {
		got, err := s.client.Get(ctx, s.objects.Key(i))
		if err != nil {
			return err
		}
		return compare(s.objects.Key(i), got, s.objects.Version(i, 0, s.sizes[i]))
	})
	if len(errs) > 0 {
		s.t.Errorf("%d of %d objects do not read, the first: %v", len(errs), len(s.sizes), errs[0])
	}
}

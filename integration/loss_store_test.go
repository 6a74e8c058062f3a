package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// lossStore is a store over real directories that come and go, whose gateway is
// started anew for each look at it: nothing is cached, no node is remembered.
type lossStore struct {
	*gateway
	k, m    int
	dirs    []string // of the nodes
	out     Nodes    // those renamed away
	objects Objects
	sizes   []int
	data    []Nodes // that hold data shards of each object
	most    []int   // nodes that the bytes of each object can lie on
	client  *Client
}

// lossSizes are the objects: small ones that share a log pack, and as the last
// one of several packs.
func lossSizes(large int) []int {
	sizes := []int{0, 1, 100, 4000, 19_000, 30_000, 65_536, 65_537, 47_000, 80_000, 111_000, 131_072, 21_000, 250_000}
	return append(sizes, large)
}

// newLossStore makes a store coded k+m on as many nodes, loads it and waits
// until the nodes alone have everything.
func newLossStore(t *testing.T, ctx context.Context, k, m, large int) *lossStore {
	t.Helper()
	s := &lossStore{k: k, m: m, objects: Objects{seed(t)}, sizes: lossSizes(large)}
	s.gateway = newGateway(t, ctx, fmt.Sprintf("[store]\ncoding = \"%d+%d\"\n[cache]\nlimit = \"0B\"\nmemory = \"0B\"\n[stage]\nsettle = \"100ms\"\n", k, m))
	for i := range k + m {
		s.dirs = append(s.dirs, s.addLocal(fmt.Sprintf("n%d", i+1)))
	}
	s.do("bucket", "create", "losses")
	keys := s.access("--write", "losses")
	s.client = NewClient("http://"+s.address, "losses", keys, 8)
	t.Cleanup(s.client.Close)
	s.start()
	t.Cleanup(func() { s.stop() })
	for i, size := range s.sizes {
		if err := s.client.Put(ctx, s.objects.Key(i), s.objects.Version(i, 0, size)); err != nil {
			t.Fatalf("put %d bytes: %v", size, err)
		}
	}
	s.do("flush")
	eventually(t, ctx, "everything spread and the stage empty", func(context.Context) error {
		var told struct {
			Staged *int   `json:"packs_staged"`
			Bytes  *int64 `json:"stage_bytes"`
		}
		err := json.Unmarshal([]byte(s.do("status", "--json")), &told)
		if err != nil || told.Staged == nil || told.Bytes == nil {
			t.Fatalf("status: %v", err)
		}
		if *told.Staged != 0 || *told.Bytes != 0 {
			return fmt.Errorf("%d packs of %d bytes", *told.Staged, *told.Bytes)
		}
		return nil
	})
	for i := range s.sizes {
		data, most := s.locate(i)
		s.data, s.most = append(s.data, data), append(s.most, most)
	}
	s.stop()
	return s
}

// stop kills the gateway: what it knew of the nodes goes with it.
func (s *lossStore) stop() {
	s.client.Close()
	s.kill()
}

// locate tells which nodes hold data shards of object i, and on how many of
// them its bytes can lie.
func (s *lossStore) locate(i int) (data Nodes, most int) {
	s.t.Helper()
	var at struct {
		Packs []struct {
			State, Coding string
			Bytes         int64
			Shards        []struct {
				Index int
				Node  string
			}
		}
	}
	if err := json.Unmarshal([]byte(s.do("locate", "--json", "losses/"+s.objects.Key(i))), &at); err != nil {
		s.t.Fatal(err)
	}
	for _, p := range at.Packs {
		var on Nodes
		for _, h := range p.Shards {
			node := slices.IndexFunc(s.dirs, func(d string) bool { return filepath.Base(d) == h.Node })
			if node < 0 || on.Has(node) {
				s.t.Fatalf("object %d: shards %+v", i, p.Shards)
			}
			on |= 1 << node
			if h.Index < s.k {
				data |= 1 << node
			}
		}
		if p.State != "spread" || p.Coding != fmt.Sprintf("%d+%d", s.k, s.m) || len(p.Shards) != s.k+s.m {
			s.t.Fatalf("object %d lies in a pack %s, coded %s, with %d shards", i, p.State, p.Coding, len(p.Shards))
		}
	}
	if len(at.Packs) > 1 {
		return data, s.k * len(at.Packs)
	}
	return data, min(s.k, 2+s.sizes[i]*s.k/(400<<10)) // the log pack here has 0.8 MB
}

// lose renames the directories of exactly these nodes away, and those of the
// others back.
func (s *lossStore) lose(lost Nodes) {
	s.t.Helper()
	for i, dir := range s.dirs {
		from, to := dir, dir+".away"
		if lost.Has(i) == s.out.Has(i) {
			continue
		}
		if !lost.Has(i) {
			from, to = to, from
		}
		if err := os.Rename(from, to); err != nil {
			s.t.Fatal(err)
		}
	}
	s.out = lost
}

// read returns what reading each object came to; wrong bytes end the test.
func (s *lossStore) read(ctx context.Context) []error {
	s.t.Helper()
	errs := make([]error, len(s.sizes))
	Each(ctx, len(s.sizes), 8, func(ctx context.Context, i int) error {
		errs[i] = s.readOne(ctx, i)
		return errs[i]
	})
	for i, err := range errs {
		var wrong *WrongBytes
		if errors.As(err, &wrong) {
			s.t.Fatalf("without %v: object %d of %d bytes: %v", s.out, i, s.sizes[i], err)
		}
	}
	return errs
}

func (s *lossStore) readOne(ctx context.Context, i int) error {
	got, err := s.client.Get(ctx, s.objects.Key(i))
	if err != nil {
		return err
	}
	return compare(s.objects.Key(i), got, s.objects.Version(i, 0, s.sizes[i]))
}

// refused reports whether err is a clean refusal with this status. Of a body
// longer than what is in hand before the headers go out, the connection may
// break instead.
func (s *lossStore) refused(i int, err error, status int) bool {
	if s.sizes[i] > 256<<10 && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)) {
		return true
	}
	var e *StatusError
	return errors.As(err, &e) && e.Status == status && e.Code != ""
}

// whole fails unless every object reads.
func (s *lossStore) whole(ctx context.Context) {
	s.t.Helper()
	for i, err := range s.read(ctx) {
		if err != nil {
			s.t.Errorf("without %v: object %d of %d bytes: %v", s.out, i, s.sizes[i], err)
		}
	}
}

// heals waits until everything reads. No object is read twice.
func (s *lossStore) heals(ctx context.Context) {
	s.t.Helper()
	next := 0
	eventually(s.t, ctx, "everything reads again", func(ctx context.Context) error {
		for ; next < len(s.sizes); next++ {
			err := s.readOne(ctx, next)
			var wrong *WrongBytes
			switch {
			case errors.As(err, &wrong):
				s.t.Fatalf("without %v: object %d: %v", s.out, next, err)
			case err != nil:
				return fmt.Errorf("without %v: object %d: %w", s.out, next, err)
			}
		}
		return nil
	})
}

// lossCodings is the codings of a test, k+m each.
func lossCodings() []string {
	if long() {
		return []string{"4+3", "1+1", "2+1", "2+2", "3+3", "4+4"}
	}
	return []string{"4+3"}
}

func parseLossCoding(t *testing.T, text string) (k, m int) {
	t.Helper()
	if _, err := fmt.Sscanf(text, "%d+%d", &k, &m); err != nil || strings.Count(text, "+") != 1 {
		t.Fatalf("coding %q: %v", text, err)
	}
	return k, m
}

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
)

// GatewayStatus is what GET /api/status of the admin listener tells, as far as
// these tests use it. Counters grow from the start of the process.
type GatewayStatus struct {
	State       string `json:"state"`        // ok, degraded, ...
	Objects     *int64 `json:"objects"`      // in all buckets
	Packs       *int64 `json:"packs"`        // spread and not retired
	StagedBytes *int64 `json:"staged_bytes"` // held by this machine only
	Fsyncs      *int64 `json:"fsyncs"`       // by the gateway, of files and directories
}

// Status asks the demo's admin listener. A field these tests need and that is
// missing is an error: a count that nobody made is not zero.
func (d *Demo) Status(ctx context.Context) (s GatewayStatus, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(d.Admin, "/")+"/api/status", nil)
	if err != nil {
		return s, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return s, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return s, fmt.Errorf("/api/status: HTTP %d", answer.StatusCode)
	}
	if err := json.NewDecoder(answer.Body).Decode(&s); err != nil {
		return s, fmt.Errorf("/api/status: %w", err)
	}
	for name, field := range map[string]*int64{"objects": s.Objects, "packs": s.Packs, "staged_bytes": s.StagedBytes, "fsyncs": s.Fsyncs} {
		if field == nil {
			return s, fmt.Errorf("/api/status: no %q", name)
		}
	}
	return s, nil
}

// Census is what lies in one node's directory.
type Census struct {
	Files   int    // all
	Shards  int    // below packs/
	Largest int    // entries of the largest directory
	Where   string // that directory
}

// TakeCensus walks the directory of a node.
func TakeCensus(dir string) (c Census, err error) {
	entries := map[string]int{}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != dir {
			entries[filepath.Dir(path)]++
		}
		if !d.IsDir() {
			c.Files++
			if rel, _ := filepath.Rel(dir, path); strings.HasPrefix(filepath.ToSlash(rel), "packs/") {
				c.Shards++
			}
		}
		return nil
	})
	for path, n := range entries {
		if n > c.Largest {
			c.Largest, c.Where = n, path
		}
	}
	return c, err
}

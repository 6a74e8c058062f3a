package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// told is what a long verb says on the way, with --json.
type told struct {
	Done, Of, Bytes int64
}

// startVerb starts a verb; far is called with each report of how far it is, until
// the process ends. The result is its last line and how it ended.
func (m *machine) startVerb(far func(*exec.Cmd, told), words ...string) (last []byte, err error) {
	n := 1
	if words[0] == "node" {
		n = 2
	}
	args := append(append(append([]string{}, words[:n]...), "--config", m.config, "--json"), words[n:]...)
	ctx, cancel := context.WithTimeout(m.ctx, verbLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.bin, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		last = bytes.Clone(lines.Bytes())
		var line struct{ Progress *json.RawMessage }
		var p told
		if json.Unmarshal(last, &line) == nil && line.Progress != nil && json.Unmarshal(*line.Progress, &p) == nil {
			far(cmd, p)
		}
	}
	if err := cmd.Wait(); err != nil {
		return last, fmt.Errorf("%w: %s", err, stderr.String())
	}
	return last, nil
}

// killed runs a verb and ends it with kill -9 once it is so far, with what, which
// is the verb's own process where nil; it returns how far it was by its own words.
// One that ends before is a fault of the test.
func (m *machine) killed(what func(), enough func(told) bool, words ...string) (at told) {
	m.t.Helper()
	gone := false
	_, err := m.startVerb(func(cmd *exec.Cmd, p told) {
		if gone || !enough(p) {
			return
		}
		gone, at = true, p
		if what == nil {
			_ = cmd.Process.Kill() // which Wait tells
		} else {
			what()
		}
	}, words...)
	var exit *exec.ExitError
	switch {
	case !gone:
		m.t.Fatalf("%v was not far enough before it ended: %v", words, err)
	case !errors.As(err, &exit):
		m.t.Fatalf("%v, killed at %+v, ended well: %v", words, at, err)
	case what == nil && !strings.Contains(err.Error(), "killed"), what != nil && !strings.Contains(err.Error(), "same command"):
		m.t.Errorf("%v, killed at %+v: %v", words, at, err)
	}
	return at
}

// compacted is what recode tells at its end.
type compacted struct {
	Packs, Of, Made int64
	Live            int64 `json:"live_bytes"`
	LiveOf          int64 `json:"live_of_bytes"`
}

// worked is what rebuild, drain, rebalance and scrub tell at their end.
type worked struct {
	Made, Left, Wrong, Missing, Lost, Unread, Unknown, Extra, Written int64
	LeftSize                                                          int64 `json:"left_size"`
	Says                                                              []string
}

// known fails unless the files below packs/ of each node are those that the index
// knows: as many bytes, and a look at all of them finds nothing else but so many
// that were put and not recorded when a verb was killed: these are marked, and go
// at the first look after an hour.
func (g *gateway) known(dirs map[string]string, most int64) {
	g.t.Helper()
	r := jsonOf[worked](g, "scrub", "--full")
	if r.Wrong+r.Missing+r.Lost+r.Unread+r.Unknown+r.Left > 0 || r.Extra > most {
		g.t.Errorf("scrub: %+v", r)
	}
	var extra int64
	status := jsonOf[struct {
		Nodes []struct {
			Name string
			Used int64 `json:"used_bytes"`
		}
	}](g, "status")
	for _, n := range status.Nodes {
		var sum int64
		err := filepath.WalkDir(filepath.Join(dirs[n.Name], "packs"), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				var info fs.FileInfo
				if info, err = d.Info(); err == nil {
					sum += info.Size()
				}
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) || sum < n.Used || sum > n.Used && most == 0 {
			g.t.Errorf("on %s are %d bytes of shards, and the index knows of %d; %v", n.Name, sum, n.Used, err)
		}
		extra += sum - n.Used
	}
	if (extra > 0) != (r.Extra > 0) {
		g.t.Errorf("%d bytes that the index does not know are on the nodes, and scrub finds %d files", extra, r.Extra)
	}
}

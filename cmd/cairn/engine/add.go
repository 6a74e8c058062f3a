package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/sftp"
	"github.com/cairn-storage/cairn/pack"
)

// NodeSpec is a node to be added.
type NodeSpec struct {
	Name     string `json:"name"`     // unique; a-z, 0-9 and hyphens
	Operator string `json:"operator"` // the name when empty
	Site     string `json:"site"`
	Remote   string `json:"remote"`
	HostKey  string `json:"host_key"` // SHA256:..., for sftp
	// AcceptNew pins whatever host key the server shows, where HostKey is
	// empty. Without it an unknown key is ErrDenied, and the error shows it.
	AcceptNew bool              `json:"accept_new"`
	Key       string            `json:"key"`      // private key, PEM; the gateway's own where neither is given
	Password  string            `json:"password"` // for servers without keys
	Capacity  uint64            `json:"capacity"` // bytes; 0 for what the node says
	Option    map[string]string `json:"option"`   // of rclone's backend
	// SkipChecks leaves measuring and the contract out, for a node that was
	// checked before.
	SkipChecks bool `json:"skip_checks"`
}

// NodeReport is what was found out about a node.
type NodeReport struct {
	Name     string `json:"name"`
	ID       string `json:"id"`
	Operator string `json:"operator"`
	Remote   string `json:"remote"`
	HostKey  string `json:"host_key,omitempty"`
	Marked   string `json:"marked,omitempty"` // its marker was missing and is written again: what proved that it is this node
	Measured
	Fleet FleetReport `json:"fleet"`
}

// FleetReport says what all nodes come to.
type FleetReport struct {
	Nodes     int      `json:"nodes"`
	Operators int      `json:"operators"`
	Coding    string   `json:"coding"` // of new packs; empty while no node takes any
	Before    string   `json:"coding_before"`
	Usable    int64    `json:"usable_bytes"` // of packs, under Coding
	Fatal     []string `json:"fatal"`        // operators whose loss alone would lose packs
}

// AddNode makes a node part of the store: it opens the remote, refuses what
// belongs to another store (ErrDenied) or is a node already (ErrPrecondition),
// measures it, holds it to the contract, writes what stands on every node, and
// only then records it. progress, which may be nil, gets one line for each step.
//
// Order: epoch keys and texts, then the marker, then the record. Whatever a
// pack needs to be recovered from this node stands on it before any pack can be
// placed there, and a node that was left half made is simply added again: its
// marker, if it got one, gives it the same id.
func (e *Engine) AddNode(ctx context.Context, s NodeSpec, progress func(string)) (NodeReport, error) {
	if progress == nil {
		progress = func(string) {}
	}
	n, err := e.newNode(ctx, &s, progress)
	if err != nil {
		return NodeReport{}, err
	}
	r, err := e.openOnce(ctx, n, true)
	if err != nil {
		return NodeReport{}, e.whyNot(n, s, err)
	}
	report, err := e.addTo(ctx, r, n, s, progress)
	if cerr := closeRemote(r); err == nil && cerr != nil {
		err = fmt.Errorf("node %s: %w", n.Name, cerr)
	}
	return report, err
}

// newNode checks s and makes the record of it, but for what the marker decides.
func (e *Engine) newNode(ctx context.Context, s *NodeSpec, progress func(string)) (pack.Node, error) {
	if s.Operator == "" {
		s.Operator = s.Name
	}
	if isSFTP(s.Remote) {
		at, err := sftpPlace(s.Remote)
		if err != nil {
			return pack.Node{}, err
		}
		if s.HostKey == "" {
			if s.HostKey, err = sftp.Probe(ctx, at.address); err != nil {
				return pack.Node{}, fmt.Errorf("%s: %w", s.Remote, err)
			}
			if !s.AcceptNew {
				return pack.Node{}, fmt.Errorf("%s: host key %s is new; compare it with what the operator says and give it as --host-key, or --yes to trust it: %w",
					s.Remote, s.HostKey, cairn.ErrDenied)
			}
			progress("host key " + s.HostKey + " is new, pinned")
		}
	}
	n := pack.Node{Name: s.Name, Operator: s.Operator, Site: s.Site, Remote: s.Remote, HostKey: s.HostKey, Capacity: s.Capacity,
		State: "ok", Added: uint64(time.Now().UnixMilli()), Option: s.Option}
	rand.Read(n.ID[:]) // never fails
	if err := e.check(n); err != nil {
		return n, err
	}
	nodes, err := e.Store.Nodes()
	if err != nil {
		return pack.Node{}, err
	}
	if slices.ContainsFunc(nodes, func(o pack.Node) bool { return o.Name == s.Name }) {
		return pack.Node{}, fmt.Errorf("node %s: there is one of this name; give another with --name, or change it with `cairn node set`: %w", s.Name, cairn.ErrPrecondition)
	}
	return n, e.setLogin(&n, credential{Key: s.Key, Password: s.Password})
}

func (e *Engine) setLogin(n *pack.Node, login credential) (err error) {
	n.Credential, err = e.seal(n.ID, login)
	return err
}

func (e *Engine) addTo(ctx context.Context, r backends.Remote, n pack.Node, s NodeSpec, progress func(string)) (NodeReport, error) {
	fail := func(err error) (NodeReport, error) { return NodeReport{}, e.whyNot(n, s, err) }
	id, err := e.claim(ctx, r, n)
	if err != nil {
		return fail(err)
	}
	if id != n.ID {
		// The credential is sealed for the id.
		n.ID = id
		if err := e.setLogin(&n, credential{Key: s.Key, Password: s.Password}); err != nil {
			return fail(err)
		}
	}
	report := NodeReport{Name: n.Name, ID: n.ID.String(), Operator: n.Operator, Remote: n.Remote, HostKey: n.HostKey}
	if !s.SkipChecks {
		if report.Measured, err = measure(ctx, r, progress); err != nil {
			return fail(err)
		}
		if err := report.Failed(); err != nil {
			return fail(err)
		}
	}
	if err := e.prepare(ctx, r, n); err != nil {
		return fail(err)
	}
	before := e.coding()
	if err := e.Store.SetNode(ctx, n); err != nil {
		return fail(err)
	}
	progress("recorded")
	e.Look(ctx)
	report.Fleet = e.FleetReport()
	report.Fleet.Before = before
	return report, nil
}

// whyNot says which node and what to do about err.
func (e *Engine) whyNot(n pack.Node, s NodeSpec, err error) error {
	if errors.Is(err, cairn.ErrDenied) && isSFTP(n.Remote) && s.Key == "" && s.Password == "" {
		return fmt.Errorf("%s: %w; to let the gateway's own key in, put this line into authorized_keys there: %s", n.Remote, err, e.AuthorizedKey())
	}
	return fmt.Errorf("%s: %w", n.Remote, err)
}

// coding is that of new packs; empty while no node takes any.
func (e *Engine) coding() string {
	c, err := e.Fleet.Coding(e.Store.Coding())
	if err != nil {
		return ""
	}
	return c.String()
}

// FleetReport says what the nodes come to now.
func (e *Engine) FleetReport() FleetReport { return e.fleetReport(e.Store.Coding()) }

func (e *Engine) fleetReport(coding string) FleetReport {
	nodes, _ := e.Fleet.Status()
	operators := make(map[string]bool)
	for _, n := range nodes {
		operators[n.Operator] = true
	}
	r := FleetReport{Nodes: len(nodes), Operators: len(operators)}
	if c, err := e.Fleet.Coding(coding); err == nil {
		r.Coding, r.Usable, r.Fatal = c.String(), int64(e.Fleet.Usable(c)), e.Fleet.Fatal(c)
	}
	return r
}

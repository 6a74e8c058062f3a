package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// CheckNode measures a node of the store and holds it to the contract, over a
// connection of its own. With mark a marker that is missing is written again
// first; see remark. ErrUnavailable when it does not answer or shows no
// marker; the report is what was found either way. A clause that does not hold
// is the report's Failed.
func (e *Engine) CheckNode(ctx context.Context, name string, mark bool, progress func(string)) (NodeReport, error) {
	if progress == nil {
		progress = func(string) {}
	}
	n, err := e.Store.Node(name)
	if err != nil {
		return NodeReport{}, fmt.Errorf("%w; `cairn node list` shows them", err)
	}
	report := NodeReport{Name: n.Name, ID: n.ID.String(), Operator: n.Operator, Remote: n.Remote, HostKey: n.HostKey}
	r, err := e.openOnce(ctx, n, false)
	if err != nil {
		return report, err
	}
	if mark {
		report.Marked, err = e.remark(ctx, r, n)
	}
	if err == nil {
		err = e.isNode(ctx, r, n)
	}
	if err == nil {
		progress("marker: store " + e.ID.Short() + ", this node")
		report.Measured, err = measure(ctx, r, progress)
	}
	if err == nil {
		err = replace(ctx, r, layout.StatusName, statusText(n, fmt.Sprintf("was checked: it keeps %d of %d promises", report.Passed(), report.Of)))
	}
	if cerr := closeRemote(r); err == nil {
		err = cerr
	}
	if err != nil {
		return report, fmt.Errorf("node %s: %w", name, err)
	}
	report.Fleet = e.FleetReport()
	return report, nil
}

// isNode returns nil when the marker of r says that it is n.
func (e *Engine) isNode(ctx context.Context, r backends.Remote, n pack.Node) error {
	m, err := fleet.ReadMarker(ctx, r)
	switch {
	case errors.Is(err, cairn.ErrNotExist):
		return fmt.Errorf("its marker %s is missing, so it counts as offline and nothing is written there: is its disk mounted? If it is, `cairn node check %s --mark` looks whether this is it and writes the file again: %w", layout.MarkerName, n.Name, cairn.ErrUnavailable)
	case err != nil:
		return err
	case m.Store != e.ID:
		return fmt.Errorf("its marker is of another store, %s: %w", m.Store.Short(), cairn.ErrDenied)
	case m.Node != n.ID:
		return fmt.Errorf("its marker is of node %s of this store: the address leads to another node: %w", m.Node, cairn.ErrDenied)
	}
	return nil
}

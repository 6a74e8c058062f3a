package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/pack"
)

// The options of a node that are not of its backend but bound what background
// work does with it.
const (
	OptionTraffic = "traffic" // bytes a month, as config.ParseTraffic reads them
	OptionHours   = "hours"   // times of day, as config.ParseHours reads them
)

// ErrBudget is that a node's traffic of this month is used up; its class is
// ErrFull.
var ErrBudget = fmt.Errorf("its traffic of this month is used up: %w", cairn.ErrFull)

// ledger is what went to and from a node in a month. It is guarded by link.mu.
type ledger struct {
	month string // of this machine's calendar, such as 2026-11
	moved int64  // bytes of content, whoever they were for
}

// add counts bytes; each month begins with none.
func (l *ledger) add(now time.Time, bytes int64) {
	if month := now.Format("2006-01"); month != l.month {
		l.month, l.moved = month, 0
	}
	l.moved += bytes
}

// traffic is what went to and from the node this month.
func (n *node) traffic(now time.Time) int64 {
	n.link.mu.Lock()
	defer n.link.mu.Unlock()
	n.link.ledger.add(now, 0)
	return n.link.moved
}

// budget is what the node's record allows; what it spells wrong bounds nothing.
type budget struct {
	traffic int64 // bytes a month; 0 for no bound
	hours   config.Hours
}

func budgetOf(n pack.Node) (b budget, err error) {
	if s := n.Option[OptionTraffic]; s != "" {
		var size config.Size
		size, err = config.ParseTraffic(s)
		b.traffic = int64(size)
	}
	var bad error
	b.hours, bad = config.ParseHours(n.Option[OptionHours])
	return b, errors.Join(err, bad)
}

// Spend returns nil when background work may move n bytes with a node: within
// its hours and its traffic of the month, and at the pace that all background
// work has together. What is moved is counted by itself, as all other traffic
// with the node is. ErrBudget when the month's traffic does not allow it: that
// is not waited for. ErrUnavailable when ctx ends or the node left.
func (f *Fleet) Spend(ctx context.Context, id cairn.NodeID, n int64) error {
	for {
		nd := f.node(id)
		if nd == nil {
			return fmt.Errorf("fleet: node %v: %w", id, errLeft)
		}
		now := time.Now()
		if !nd.affords(now, n) {
			return fmt.Errorf("fleet: node %s: %w", nd.Name, ErrBudget)
		}
		wait := nd.budget.hours.Wait(now)
		if wait == 0 {
			return f.pace.Wait(ctx, n)
		}
		changed := f.Changed() // its hours may
		if err := pause(ctx, min(wait, time.Hour), changed); err != nil {
			return err
		}
	}
}

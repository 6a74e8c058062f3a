package engine

import (
	"context"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/fleet"
)

// traffic bounds what a compaction moves: by the pace it was given, that of all
// background work, and each node's hours and traffic of the month.
type traffic struct {
	*fleet.Fleet
	own *pace // nil without a bound
}

func (t traffic) Spend(ctx context.Context, node cairn.NodeID, n int64) error {
	if err := t.own.wait(ctx, n); err != nil {
		return err
	}
	return t.Fleet.Spend(ctx, node, n)
}

func (t traffic) SpendPuts(ctx context.Context, n int, size int64) error {
	if err := t.own.wait(ctx, int64(n)*size); err != nil {
		return err
	}
	return t.Fleet.SpendPuts(ctx, n, size)
}

func (t traffic) Within(ctx context.Context) context.Context { return fleet.Thrifty(ctx) }

// hurry bounds what a purge moves: by the pace it was given and nothing else.
type hurry struct{ own *pace }

func hurried(limit config.Bwlimit) hurry { return hurry{&pace{limit: limit}} }

func (h hurry) Spend(ctx context.Context, _ cairn.NodeID, n int64) error { return h.own.wait(ctx, n) }

func (h hurry) SpendPuts(ctx context.Context, n int, size int64) error {
	return h.own.wait(ctx, int64(n)*size)
}

func (hurry) Affords(cairn.NodeID, int64) bool { return true }

func (hurry) Within(ctx context.Context) context.Context { return ctx }

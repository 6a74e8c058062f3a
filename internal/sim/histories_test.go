package sim

import (
	"testing"
	"time"
)

// TestHistories plays what once failed.
func TestHistories(t *testing.T) {
	for _, h := range []struct {
		name  string
		setup Setup
		plan  []Step
	}{
		{"an index made again while a node names packs that never were",
			Setup{Seed: 1, Coding: "2+2", Nodes: 5, Operators: 5, Bad: []int{1}, PackSize: 256 << 10, Settle: time.Second, Most: 1 << 20},
			[]Step{{Do: Put, Key: 1, Content: 2, Size: 9000}, {Do: Flush}, {Do: Ail, Node: 1, Ill: ListInvents, Share: 1}, {Do: LoseIndex}, {Do: Check}}},
		{"a start on a full disk",
			Setup{Seed: 3039, Coding: "2+2", Nodes: 5, Operators: 5, PackSize: 256 << 10, Settle: time.Second, Most: 1 << 20},
			[]Step{{Do: Put, Key: 1, Content: 2, Size: 9000}, {Do: Full, Size: 0}, {Do: Restart, N: 1}, {Do: Check}}},
		{"packs wait for a node that is in quarantine for what it did to its files",
			Setup{Seed: 213, Coding: "3+2", Nodes: 5, Operators: 5, Bad: []int{1}, PackSize: 256 << 10, Settle: time.Second, Most: 1 << 20},
			[]Step{{Do: Put, Key: 6, Content: 1, Size: 1034371}, {Do: Pass, For: 31 * time.Second}, {Do: Ail, Node: 1, Ill: Down, Share: 1},
				{Do: Pull, Percent: 50}, {Do: Ail, Node: 1, Ill: Swaps, Share: 0.5}, {Do: Restart, N: 1}, {Do: Put, Key: 1, Content: 3, Size: 394117}, {Do: Flush}}},
	} {
		t.Run(h.name, func(t *testing.T) { t.Parallel(); play(t, h.setup, h.plan) })
	}
}

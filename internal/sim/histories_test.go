package sim

import (
	"testing"
	"time"

	"github.com/cairn-storage/cairn/internal/race"
)

// TestHistories plays what once failed.
func TestHistories(t *testing.T) {
	for i, h := range []struct {
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
		{"an outage that was taken for a full store",
			Setup{Seed: 1545, Coding: "1+1", Nodes: 3, Operators: 3, Bad: []int{0}, PackSize: 256 << 10, Settle: 10 * time.Second, DiskCache: 4 << 20, Most: 1 << 20},
			[]Step{{Do: Flush}, {Do: Ail, Ill: FreeLies, Share: 1}, {Do: Burn, Node: 2}, {Do: Ail, Node: 1, Ill: Down, Share: 1}, {Do: Pass, For: 2 * time.Minute},
				{Do: Put, Key: 6, Size: 3236, Content: 5914381857677142565, Unknown: true}}},
		{"a start while a node that invents names fails now and then",
			Setup{Seed: 1194, Coding: "2+2", Nodes: 5, Operators: 5, Bad: []int{2, 4}, PackSize: 256 << 10, Settle: 10 * time.Second, Most: 1 << 20},
			[]Step{{Do: Ail, Node: 4, Ill: LosesAcks, Share: 0.2}, {Do: Ail, Node: 4, Ill: ListInvents, Share: 0.2}, {Do: Pull}}},
		{"a log pack that was half spread when the gateway burnt",
			Setup{Seed: 20262, Coding: "2+2", Nodes: 5, Operators: 5, Bad: []int{0, 2}, PackSize: 256 << 10, Settle: 10 * time.Second, Most: 1 << 20},
			[]Step{{Do: CreateUpload, Key: 1}, {Do: Flush}, {Do: PutPart, Key: 1, Size: 1046038, Content: 5732646463414011002, N: 1},
				{Do: Ail, Ill: Drips, Share: 0.2}, {Do: Ail, Node: 2, Ill: Drips, Share: 0.2}, {Do: Flush}, {Do: Grant, Content: 18292917758685255346}, {Do: Burn, Node: 1}}},
		{"a stray shard is taken up on a node that holds another of the pack",
			Setup{Seed: 5387786211032, Coding: "3+2", Nodes: 5, Operators: 5, Bad: []int{2, 3}, PackSize: 256 << 10, Settle: time.Second, Most: 1 << 20},
			[]Step{{Do: Ail, Node: 1, Ill: Bursts, Share: 0.5}, {Do: Put, Size: 471690, Content: 2805192816141936473, Unknown: true},
				{Do: Ail, Node: 2, Ill: ForeignShard, Share: 1}, {Do: Pass, For: 2 * time.Minute}}},
		{"the index is lost while the checkpoint that its root names is still staged",
			Setup{Seed: 40447, Coding: "2+1", Nodes: 4, Operators: 4, Bad: []int{3}, PackSize: 256 << 10, Settle: 600 * time.Second, DiskCache: 4 << 20, Most: 1 << 20},
			[]Step{{Do: Flush}, {Do: Grant, Content: 1020685418439965236, N: 1}, {Do: Off, For: 5 * 365 * 24 * time.Hour}, {Do: MakeBucket}, {Do: Collect}, {Do: LoseIndex, Percent: 100}}},
		{"nodes that say too often that a file is not there leave more places behind than a read asks",
			Setup{Seed: 42217, Coding: "3+2", Nodes: 5, Operators: 5, Bad: []int{4, 1}, PackSize: 256 << 10, Settle: 600 * time.Second, Most: 1 << 20},
			[]Step{{Do: Flush}, {Do: Put, Key: 6, Size: 196610, Content: 15378713907988859756}, {Do: Pass, For: 660 * time.Second}, {Do: CreateUpload, Key: 1}, {Do: Flush}, {Do: Delete, Key: 8}, {Do: Flush},
				{Do: Light, Fuse: Fuse{At: 23, How: 2}}, {Do: Put, Key: 5, Size: 65536, Content: 14748185673495451802, Cond: IfOther}, {Do: Scrub, Content: 12760769771798233036, N: 1},
				{Do: Put, Key: 3, Size: 7895, Content: 305064970345244497, Unknown: true}, {Do: Ail, Node: 1, Ill: FalseNotFound, Share: 0.5}, {Do: Ail, Node: 4, Ill: FalseNotFound, Share: 0.5}, {Do: Burn, Node: 1}}},
		{"the index is made again while a node that lists without end answers no more",
			Setup{Seed: 40659, Coding: "2+2", Nodes: 5, Operators: 5, Bad: []int{4}, PackSize: 256 << 10, Settle: 600 * time.Second, Most: 1 << 20},
			[]Step{{Do: Ail, Node: 4, Ill: ListEndless, Share: 0.5}, {Do: Ail, Node: 4, Ill: Hangs, Share: 0.2}, {Do: Pull, Percent: 50}}},
		{"a write that nobody looks at between two gateways that burn",
			Setup{Seed: 200941, Coding: "2+2", Nodes: 5, Operators: 5, Bad: []int{1}, PackSize: 256 << 10, Settle: 10 * time.Second, Most: 1 << 20},
			[]Step{{Do: Flush}, {Do: Light, Fuse: Fuse{At: 18, How: 1, Percent: 50}}, {Do: Put, Key: 5, Size: 5983, Content: 9517177763480956258}, {Do: Burn},
				{Do: Light, Fuse: Fuse{At: 22, How: 1, Percent: 100}}, {Do: Put, Key: 5, Size: 8710, Content: 7307004049430306413}, {Do: Burn, Node: 3}}},
		{"the index is made again while every clean node is silent, and a pack coded for fewer is still staged",
			Setup{Seed: 301182, Coding: "4+3", Nodes: 7, Operators: 7, Bad: []int{1, 4, 3}, PackSize: 256 << 10, Settle: 10 * time.Second, Most: 1 << 20},
			[]Step{{Do: Ail, Node: 3, Ill: Drips, Share: 0.5}, {Do: Pass, For: 660 * time.Second}, {Do: Put, Key: 3, Size: 65536, Content: 8178203211258847137, Unknown: true},
				{Do: LoseIndex, N: 7, Percent: 100}}},
		{"the index is made again while the only node that answers has wrong bytes",
			Setup{Seed: 9250, Coding: "2+1", Nodes: 4, Operators: 4, Bad: []int{1}, PackSize: 256 << 10, Settle: 10 * time.Second, Most: 1 << 20, Loops: true},
			[]Step{{Do: Ail, Node: 1, Ill: ForeignShard, Share: 0.2}, {Do: Put, Key: 6, Size: 96001, Content: 249177960652053248}, {Do: LoseIndex, N: 4}}},
	} {
		if race.On && i%4 != 0 {
			continue
		}
		t.Run(h.name, func(t *testing.T) { t.Parallel(); play(t, h.setup, h.plan) })
	}
}

package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/cmd/cairn/keep"
	"github.com/cairn-storage/cairn/store"
)

func TestRecoverTellsWhatItFinds(t *testing.T) {
	now := time.Date(2026, 11, 22, 2, 10, 0, 0, time.UTC)
	f := engine.RecoverFound{Short: "4f1c-9a20", KitMade: now.Add(-50 * time.Hour), KitRoot: 8814, Nodes: 6, Answer: 5, Root: 8829, Written: now.Add(-40 * time.Minute),
		On: []string{"alice", "carol", "erik", "fay"}, Behind: []string{"dora shows root 8790"}, Silent: []string{"bob: timeout"}, Notes: []string{"a note"}}
	const found = `kit     4f1c-9a20, 6 nodes, 2 d old, last root then 8814
nodes   5 of 6 answer (bob: timeout).  Newest root 8829, of 40m ago, on alice, carol, erik, fay.  dora shows root 8790: older, and not relied on
note    a note
`
	if got := foundText(f, now); got != found {
		t.Errorf("got\n%swant\n%s", got, found)
	}
	r := engine.RecoverReport{RecoverFound: f, Buckets: 3, Access: 7, Recorded: 6, Miss: 3, Took: 185,
		Index: store.Recovered{Objects: 4722118, Silent: []string{"bob"}, Steps: []store.RecoverStep{
			{Name: "nodes", Packs: 7561, Took: 900 * time.Millisecond},
			{Name: "checkpoint", Objects: 4699700, Packs: 61, Bytes: 870 << 20, Took: 160 * time.Second},
			{Name: "log", Objects: 22418, Packs: 37, Bytes: 5 << 20, Took: 2300 * time.Millisecond}}},
		Kept: []keep.Laid{{Name: "attic", File: "/d/kept/attic", Kept: now.Add(-10 * time.Minute), Bytes: 212 << 20, Restore: "pg_restore --dbname attic /d/kept/attic"}}}
	const index = `index   4,722,118 objects: checkpoint: 4,699,700 rows (870.0 MiB of 61 packs) 2m40s · newer packs: 22,418 records (5.0 MiB of 37 packs) 2.3s
state   3 buckets, 7 access keys, 6 nodes · kept: attic of 2026-11-22 02:00 (212.0 MiB) -> /d/kept/attic
loss    bob did not answer: packs can miss 3, so all that was spread is here
`
	if got := indexText(r, nil); got != index {
		t.Errorf("got\n%swant\n%s", got, index)
	}
	const end = "Ready in 3m.  Next: cairn serve --config /c · point clients here · pg_restore --dbname attic /d/kept/attic\n"
	if got := endText(r, "/c"); got != end {
		t.Errorf("got\n%swant\n%s", got, end)
	}
}

func TestRecoverTellsWhatIsLost(t *testing.T) {
	failed := fmt.Errorf("no: %w", cairn.ErrUnavailable)
	steps := []store.RecoverStep{{Name: "log", Objects: 9, Packs: 1, Bytes: 4096}}
	for _, c := range []struct {
		name string
		r    engine.RecoverReport
		err  error
		want string
	}{
		{"nothing", engine.RecoverReport{Index: store.Recovered{Steps: steps}}, nil,
			"loss    everything spread is here.  What arrived after the last flush was only on the old disk, if anything was\n"},
		{"holes", engine.RecoverReport{Index: store.Recovered{Steps: steps, Holes: []store.Hole{{First: 7, Last: 9, After: cairn.Stamp{Life: 1, LSN: 10}, Before: cairn.Stamp{Life: 1, LSN: 90}}}}}, failed,
			"LOSS    log packs 7 to 9 (records after 1.10 and before 1.90) on no node that answers: what was written then is not known\n" +
				"        this directory is no store yet: the same command tries again\n"},
		{"objects", engine.RecoverReport{Index: store.Recovered{Steps: steps, LostCount: 2, Lost: []store.Lost{{Bucket: "b", Key: "k", Older: true}, {Bucket: "b", Key: "up", Part: 3}}}}, nil,
			"LOST    b/k: the version before it is back in its place (pack 00000000000000000000000000000000 has too few shards)\n" +
				"LOST    b/up, part 3 of an upload (pack 00000000000000000000000000000000 has too few shards)\n"},
		{"more nodes than packs can miss", engine.RecoverReport{Miss: 1, Index: store.Recovered{Steps: steps, Silent: []string{"a", "b"}}}, nil,
			"loss    a, b did not answer: what only they have is not known\n"},
		{"nothing was read yet", engine.RecoverReport{}, failed, ""},
	} {
		if got := lossText(c.r, c.err); got != c.want {
			t.Errorf("%s:\ngot\n%swant\n%s", c.name, got, c.want)
		}
	}
}

package demo

import (
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
)

// TestALostNodeIsMadeAgainOnTheOthers: a person watches a repair, and then
// loses as many more as may be lost.
func TestALostNodeIsMadeAgainOnTheOthers(t *testing.T) {
	dir := t.TempDir()
	r := begin(t, Config{Dir: dir, Nodes: 4, Coding: cairn.Coding{K: 2, M: 1}})
	must[loaded](r, "load 60")
	lost := 0
	for i, n := range must[statusReply](r, "status").Nodes {
		if n.Files > 0 {
			lost = i + 1
		}
	}
	must[touched](r, "lose "+digit(lost))
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		if s := must[statusReply](r, "status"); s.State == "degraded" && s.Summary == "every object is readable and writes go on; any 1 operator may fail" {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("it is not made again: %+v", s)
		}
	}
	must[touched](r, "kill "+digit(lost%4+1))
	r.whole(60)
	must[touched](r, "revive "+digit(lost))
	must[touched](r, "lose "+digit(lost))
	r.end()

	r = begin(t, Config{Dir: dir, Coding: cairn.Coding{K: 2, M: 1}}) // where every node is there again
	r.whole(60)
	r.end()
}

func digit(n int) string { return string(rune('0' + n)) }

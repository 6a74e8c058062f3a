package integration

import (
	"os/exec"
	"testing"
	"time"
)

// TestKillNine: whatever was acknowledged before a kill -9 reads back exactly,
// and nothing is half there.
func TestKillNine(t *testing.T) {
	rounds := 20
	if long() {
		rounds = 200
	}
	bin, dir := program(t), t.TempDir()
	err := Crash{
		Command: func() *exec.Cmd { return exec.Command(bin, "demo", "--json", "--dir", dir) },
		Rounds:  rounds, Width: 16, Longest: 2500 * time.Millisecond, Seed: seed(t), Log: t.Logf,
	}.Run(limit(t, 8*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	figure(t, "%d rounds, every acknowledged write exact", rounds)
}

package spoken

import (
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want Command // Text left out
	}{
		{"load", Command{Verb: "load", N: 2000}},
		{"load 10", Command{Verb: "load", N: 10}},
		{"kill 7", Command{Verb: "kill", Node: 7}},
		{"lie 2", Command{Verb: "lie", Node: 2, N: 100}},
		{"lie 2 5", Command{Verb: "lie", Node: 2, N: 5}},
		{"slow 1 250", Command{Verb: "slow", Node: 1, N: 250}},
		{"revive 1", Command{Verb: "revive", Node: 1}},
		{"quit", Command{Verb: "quit"}},
	} {
		c.want.Text = c.text
		if got, err := Parse(c.text, 7); err != nil || got != c.want {
			t.Errorf("%q: %+v, %v", c.text, got, err)
		}
	}
	for _, text := range []string{"kill", "kill 8", "kill 0", "kill 1.5", "lie 1 101", "slow 1", "slow 1 60001", "load -1", "load 1000001", "quit now", "KILL 1"} {
		if _, err := Parse(text, 7); err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), Usage) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if got := Split(" load  5 ;; kill 3;"); !slices.Equal(got, []string{"load 5", "kill 3"}) {
		t.Errorf("%q", got)
	}
}

// FuzzParse: whatever is typed, each command of a line is taken whole and
// within its bounds, or refused in one line that says what there is.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"load 5; kill 3", "slow 1 60000;;lie 7 100", " ; \t", "load 99999999999999999999", "kill \u00a03", "quit\x00"} {
		f.Add(s, 7)
	}
	f.Add("kill 1", 0)
	f.Fuzz(func(t *testing.T, line string, nodes int) {
		all := Split(line)
		for _, text := range all {
			c, err := Parse(text, nodes)
			switch {
			case err != nil && (strings.Contains(err.Error(), "\n") && !strings.Contains(text, "\n") || !strings.Contains(err.Error(), Usage)):
				t.Errorf("%q is refused with %q", text, err)
			case err == nil && (c.Text != text || c.Node < 0 || c.Node > max(nodes, 0) || c.N < 0 || c.N > mostLoad):
				t.Errorf("%q, %d nodes: %+v", text, nodes, c)
			}
		}
		if again := Split(strings.Join(all, ";")); !slices.Equal(again, all) {
			t.Errorf("%q is split as %q, and that as %q", line, all, again)
		}
	})
}

package main

import (
	"fmt"
	"strings"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

// progress takes the reports of a long verb.
type progress func(engine.Progress)

// text reports words alone.
func (p progress) text(s string) { p(engine.Progress{Text: s}) }

// barWidth is how long a bar is, in characters.
const barWidth = 24

// progressText is one report as a line: words, a bar, how much, how fast, and
// how long it still takes. What nobody knows is left out.
func progressText(p engine.Progress) string {
	var parts []string
	switch {
	case p.Of > 0:
		parts = append(parts, fmt.Sprintf("%s %s", bar(p.Done, p.Of), counted(p)))
	case p.Done > 0:
		parts = append(parts, amount(p.Done, p.Unit))
	}
	if p.Bytes > 0 && p.Unit != "" {
		parts = append(parts, bytesText(p.Bytes))
	}
	if p.Rate >= 1 {
		parts = append(parts, bytesText(int64(p.Rate))+"/s")
	}
	if p.Left > 0 {
		parts = append(parts, "about "+ago(p.Left)+" left")
	}
	figures := strings.Join(parts, " · ")
	if p.Text == "" || figures == "" {
		return p.Text + figures
	}
	return p.Text + "  " + figures
}

// bar shows done of so many.
func bar(done, of int64) string {
	full := int(min(max(done, 0), of) * barWidth / of)
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]"
}

func counted(p engine.Progress) string {
	if p.Unit == "" {
		return bytesText(p.Done) + " of " + bytesText(p.Of)
	}
	number, _, _ := strings.Cut(amount(p.Done, p.Unit), " ")
	return number + " of " + amount(p.Of, p.Unit)
}

func amount(n int64, unit string) string {
	if unit == "" {
		return bytesText(n)
	}
	return count(n, unit)
}

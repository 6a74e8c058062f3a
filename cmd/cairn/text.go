package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/cairn-storage/cairn/config"
)

// bytesText is a size for people.
func bytesText(n int64) string { return config.Size(n).String() }

// count is a number with commas and its noun, if any: 2,000 objects.
func count(n int64, noun string) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	switch {
	case noun == "":
		return s
	case n != 1:
		noun += "s"
	}
	return s + " " + noun
}

// ago is a length of time for people.
func ago(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return fmt.Sprintf("%.0f d", d.Hours()/24)
}

// columns writes rows aligned, two spaces between columns, without blanks at
// the ends of lines.
func columns(rows [][]string) string {
	var width []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell + strings.Repeat(" ", width[i]-len([]rune(cell))+2))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// orDash is s, or a dash for none.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

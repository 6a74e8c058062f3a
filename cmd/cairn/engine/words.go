package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
)

// mayFail says how many more may fail, and how many when all is whole.
func mayFail(n, whole int, domain string) string {
	var text string
	switch n {
	case 0, -1:
		text = "no " + domain + " may fail"
	case 1:
		text = "any 1 " + domain + " may fail"
	default:
		text = fmt.Sprintf("any %d %ss may fail", n, domain)
	}
	if n < whole {
		text += fmt.Sprintf(" (%d when whole)", whole)
	}
	return text
}

// mayFailOf is the same for new packs.
func mayFailOf(coding string) string {
	c, err := cairn.ParseCoding(coding)
	if err != nil {
		return "unknown"
	}
	return mayFail(c.M, c.M, "node")
}

func size(n int64) string { return config.Size(n).String() }

// number is n with its noun, if any: 1 pack, 7,561 packs.
func number(n int64, noun string) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	switch {
	case noun == "":
		return text
	case n != 1:
		noun += "s"
	}
	return text + " " + noun
}

// since is a length of time for people.
func since(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < time.Minute {
		return d.Round(time.Second).String()
	}
	d = d.Round(time.Minute)
	if d >= 48*time.Hour {
		return fmt.Sprintf("%.0f d", d.Hours()/24)
	}
	return strings.TrimSuffix(d.String(), "0s")
}

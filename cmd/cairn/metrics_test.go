package main

import (
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// documented fails for each metric that an admin listener shows and that
// doc/operations.md does not name, in full or by an end of it: `_lost`.
func documented(t *testing.T, admin string) {
	t.Helper()
	answer, err := http.Get(admin + "/metrics")
	must(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(t, err)
	doc, err := os.ReadFile("../../doc/operations.md")
	must(t, err)
	said := make(map[string]bool)
	for _, m := range regexp.MustCompile("`(cairn|)(_[a-z_]+)(\\{[a-z,]+\\})?`").FindAllStringSubmatch(string(doc), -1) {
		said[m[1]+m[2]] = true
	}
	shown := regexp.MustCompile(`(?m)^# TYPE (cairn_\S+)`).FindAllStringSubmatch(string(body), -1)
	if len(shown) < 30 {
		t.Errorf("%d metrics are shown", len(shown))
	}
	for _, m := range shown {
		known := said[m[1]]
		for i := range m[1] {
			known = known || said[m[1][i:]] && strings.HasPrefix(m[1][i:], "_")
		}
		if !known {
			t.Errorf("doc/operations.md does not name %s", m[1])
		}
	}
}

package gateway

import (
	"strings"
	"testing"
)

// FuzzToken: a continuation token that is taken is the one that was given, line
// ends apart, which the decoder passes over.
func FuzzToken(f *testing.F) {
	f.Add(makeToken("a/b"))
	f.Add("MQ")
	f.Add("MWE=")
	f.Add("MX\r00")
	f.Add("")
	lines := strings.NewReplacer("\r", "", "\n", "")
	f.Fuzz(func(t *testing.T, token string) {
		if next, ok := parseToken(token); ok && makeToken(next) != lines.Replace(token) {
			t.Errorf("two spellings: %q is %q, given as %q", token, next, makeToken(next))
		}
	})
}

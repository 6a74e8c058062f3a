package gateway

import "testing"

// FuzzToken: a continuation token that is taken is the one that was given.
func FuzzToken(f *testing.F) {
	f.Add(makeToken("a/b"))
	f.Add("MQ")
	f.Add("MWE=")
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		if next, ok := parseToken(token); ok && makeToken(next) != token {
			t.Errorf("two spellings: %q is %q, given as %q", token, next, makeToken(next))
		}
	})
}

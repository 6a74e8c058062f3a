package integration

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// TestGrants: what a key may, what nobody's key may, what a presigned address
// of it may, and what anyone may of a public bucket.
func TestGrants(t *testing.T) {
	ctx := limit(t, 2*time.Minute)
	program(t)
	g := serve(t, ctx, "", "open-one", "closed")
	g.do("bucket", "set", "open-one", "--public")
	keys := map[string]Keys{
		"admin":  g.access("--admin", "*"),
		"writer": g.access("--write", "closed", "--write", "open-one"),
		"reader": g.access("--read", "closed"),
		"other":  g.access("--write", "open-one"),
	}
	body := []byte("for those who may")
	by := func(who, bucket string) desk {
		c := NewClient("http://"+g.address, bucket, keys[who], 2)
		t.Cleanup(c.Close)
		return desk{ctx, c}
	}
	by("admin", "closed").put(t, "k", body)
	by("admin", "open-one").put(t, "k", body)
	const denied = "AccessDenied"
	for _, c := range []struct {
		who, bucket string
		ask         Ask
		status      int
		code        string
	}{
		{"reader", "closed", Ask{Method: "GET", Key: "k"}, 200, ""},
		{"reader", "closed", Ask{Method: "GET", Query: "list-type=2"}, 200, ""},
		{"reader", "closed", Ask{Method: "PUT", Key: "r", Body: body}, 403, denied},
		{"reader", "closed", Ask{Method: "DELETE", Key: "k"}, 403, denied},
		{"reader", "closed", Ask{Method: "POST", Key: "r", Query: "uploads="}, 403, denied},
		{"reader", "closed", Ask{Method: "DELETE"}, 403, denied},
		{"reader", "open-one", Ask{Method: "GET", Query: "list-type=2"}, 403, denied},
		{"writer", "closed", Ask{Method: "PUT", Key: "w", Body: body}, 200, ""},
		{"writer", "closed", Ask{Method: "DELETE", Key: "w"}, 204, ""},
		{"writer", "closed", Ask{Method: "DELETE"}, 403, denied},
		{"writer", "a-new-one", Ask{Method: "PUT"}, 403, denied},
		{"other", "closed", Ask{Method: "GET", Key: "k"}, 403, denied},
		{"other", "closed", Ask{Method: "HEAD", Key: "k"}, 403, ""},
		{"other", "closed", Ask{Method: "PUT", Key: "o", Body: body}, 403, denied},
		{"admin", "a-new-one", Ask{Method: "PUT"}, 200, ""},
		{"admin", "a-new-one", Ask{Method: "DELETE"}, 204, ""},

		{"reader", "closed", Ask{Method: "GET", Key: "k", Signed: Presigned(0, time.Minute)}, 200, ""},
		{"reader", "closed", Ask{Method: "PUT", Key: "p", Body: body, Signed: Presigned(0, time.Minute)}, 403, denied},
		{"other", "closed", Ask{Method: "GET", Key: "k", Signed: Presigned(0, time.Minute)}, 403, denied},
		{"writer", "closed", Ask{Method: "GET", Key: "k", Signed: Presigned(time.Hour, time.Minute)}, 403, denied},

		{"", "open-one", Ask{Method: "GET", Key: "k", Signed: Anonymous}, 200, ""},
		{"", "open-one", Ask{Method: "HEAD", Key: "k", Signed: Anonymous}, 200, ""},
		{"", "open-one", Ask{Method: "GET", Key: "nothing", Signed: Anonymous}, 404, "NoSuchKey"},
		{"", "open-one", Ask{Method: "GET", Query: "list-type=2", Signed: Anonymous}, 403, denied},
		{"", "open-one", Ask{Method: "PUT", Key: "a", Body: body, Signed: Anonymous}, 403, denied},
		{"", "open-one", Ask{Method: "DELETE", Key: "k", Signed: Anonymous}, 403, denied},
		{"", "open-one", Ask{Method: "GET", Key: "k", Query: "tagging=", Signed: Anonymous}, 403, denied},
		{"", "closed", Ask{Method: "GET", Key: "k", Signed: Anonymous}, 403, denied},
		{"", "closed", Ask{Method: "GET", Key: "nothing", Signed: Anonymous}, 403, denied},

		{"writer", "closed", Ask{Method: "PUT", Key: "b", Body: body, Signed: Basic}, 200, ""},
		{"reader", "closed", Ask{Method: "GET", Key: "b", Signed: Basic}, 200, ""},
		{"reader", "closed", Ask{Method: "PUT", Key: "b", Body: body, Signed: Basic}, 403, denied},
		{"other", "closed", Ask{Method: "GET", Key: "b", Signed: Basic}, 403, denied},
	} {
		name := fmt.Sprintf("%s %s %s %s?%s", c.who, c.bucket, c.ask.Method, c.ask.Key, c.ask.Query)
		t.Run(name, func(t *testing.T) { by(c.who, c.bucket).want(t, c.ask, c.status, c.code) })
	}
	t.Run("a wrong password", func(t *testing.T) {
		wrong := func(k Keys, r *http.Request, b []byte) []byte { k.Secret += "x"; return Basic(k, r, b) }
		for _, method := range []string{"GET", "PUT"} {
			if r := by("writer", "closed").ask(t, Ask{Method: method, Key: "k", Signed: wrong}); r.Status != 401 && r.Status != 403 {
				t.Errorf("%s: %v", method, r)
			}
		}
		by("writer", "closed").holds(t, "k", body)
	})
	t.Run("a revoked key", func(t *testing.T) {
		gone := g.access("--write", "closed")
		g.do("access", "revoke", gone.Access)
		k := by("writer", "closed")
		k.Keys = gone
		k.want(t, Ask{Method: "GET", Key: "k"}, 403, "InvalidAccessKeyId")
	})
}

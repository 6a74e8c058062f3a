package gateway

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
)

func TestTheAccessLogSaysAsMuchAsIsAsked(t *testing.T) {
	calls := []struct {
		name   string
		call   call
		broken bool
		// at which level it is logged for each setting
		errors, all, off slog.Level
	}{
		{"a read", call{method: "GET", path: "/private/k"}, false, slog.LevelDebug, slog.LevelInfo, slog.LevelDebug},
		{"a read of nothing", call{method: "GET", path: "/private/missing"}, false, slog.LevelDebug, slog.LevelInfo, slog.LevelDebug},
		{"a condition that does not hold", call{method: "GET", path: "/private/k", header: []string{"If-Match", `"x"`}}, false, slog.LevelDebug, slog.LevelInfo, slog.LevelDebug},
		{"a refusal", call{method: "GET", path: "/private/k", as: "-"}, false, slog.LevelInfo, slog.LevelInfo, slog.LevelDebug},
		{"a bad request", call{method: "PUT", path: "/private/k", header: []string{"Content-Md5", "x"}, body: "x"}, false, slog.LevelInfo, slog.LevelInfo, slog.LevelDebug},
		{"a wrong signature", call{method: "GET", path: "/private/k", after: func(q *http.Request, _ *[]byte) { q.Host = "else" }}, false, slog.LevelWarn, slog.LevelWarn, slog.LevelWarn},
		{"a failure of the gateway", call{method: "GET", path: "/private/k"}, true, slog.LevelError, slog.LevelError, slog.LevelError},
	}
	for _, mode := range []string{"", logErrors, logAll, logOff} {
		for _, c := range calls {
			r := newRig(t, func(g *Config) { g.AccessLog = mode })
			r.g.log = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			r.put("private", "k", content)
			if c.broken {
				r.store.fail = errors.New("a bug")
			}
			r.do(c.call)
			r.idle()
			want := map[string]slog.Level{"": c.errors, logErrors: c.errors, logAll: c.all, logOff: c.off}[mode]
			if l := r.log.String(); strings.Count(l, "\n") != 1 || !strings.Contains(l, "level="+want.String()+" ") {
				t.Errorf("%q, %s: want one line at %v:\n%s", mode, c.name, want, l)
			}
		}
	}
	if _, err := New(Config{Store: newMemStore(), AccessLog: "loud"}); !errors.Is(err, cairn.ErrInvalid) {
		t.Errorf("an access log that nobody knows: %v", err)
	}
}

func TestTheLogNamesTheClientAndItsProof(t *testing.T) {
	r := newRig(t, func(c *Config) { c.TrustProxy = []string{"127.0.0.1"} })
	r.put("private", "k", content)
	r.expect(call{method: "GET", path: "/private/k", header: []string{"X-Forwarded-For", "203.0.113.9"}}, 200, "")
	r.expect(presigned(call{method: "GET", path: "/private/k"}, 3600e9, modeUnsigned), 200, "")
	r.expect(withPassword(call{method: "GET", path: "/private/k"}, "reader", "secret of reader"), 200, "")
	r.idle()
	lines := strings.Split(r.log.String(), "\n")
	for i, want := range [][]string{{"from=203.0.113.9 ", "auth=signed"}, {"from=127.0.0.1:", "auth=presigned", "access=writer"}, {"auth=basic", "access=reader"}} {
		for _, w := range want {
			if !strings.Contains(lines[i], w) {
				t.Errorf("no %q in %s", w, lines[i])
			}
		}
	}
}

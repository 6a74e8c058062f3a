package gateway

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/cairn-storage/cairn"
)

func TestNamesOfObjectsAreLoggedAtDebugOnly(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelDebug} {
		r := newRig(t)
		r.g.log = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: level}))
		r.expect(call{method: "PUT", path: "/private/hidden-name", body: content}, 200, "")
		r.expect(call{method: "GET", path: "/private/hidden-name"}, 200, "")
		r.store.fail = fmt.Errorf("store: get private/hidden-name: hidden-name: %w", cairn.ErrCorrupt)
		r.expect(call{method: "GET", path: "/private/hidden-name"}, 500, "InternalError")
		r.idle()
		l := r.log.String()
		if got, want := strings.Contains(l, "hidden-name"), level == slog.LevelDebug; got != want {
			t.Errorf("at %v the object's name is in the log: %v\n%s", level, got, l)
		}
		if n := strings.Count(l, "\n"); n != 3 {
			t.Errorf("%d lines for 3 requests:\n%s", n, l)
		}
		for _, want := range []string{"op=PutObject", "op=GetObject", "bucket=private", "access=writer", "status=200", "received=43", "bytes=43", "level=ERROR", "code=InternalError", "bytes are not what was written"} {
			if !strings.Contains(l, want) {
				t.Errorf("no %s in\n%s", want, l)
			}
		}
	}
}

func TestRequestsAreCounted(t *testing.T) {
	r := newRig(t)
	r.put("private", "k", content)
	r.expect(call{method: "GET", path: "/private/k"}, 200, "")
	r.expect(call{method: "GET", path: "/private/k", header: []string{"If-None-Match", "*"}}, 304, "")
	r.expect(call{method: "GET", path: "/private/missing"}, 404, "NoSuchKey")
	r.expect(call{method: "PUT", path: "/private/k", body: content}, 200, "")
	r.expect(call{method: "POST", path: "/private/k"}, 501, "NotImplemented")
	r.idle()
	want := `
# HELP cairn_gateway_requests_total S3 requests by operation and class of answer.
# TYPE cairn_gateway_requests_total counter
cairn_gateway_requests_total{class="2xx",op="get"} 1
cairn_gateway_requests_total{class="2xx",op="put"} 1
cairn_gateway_requests_total{class="3xx",op="get"} 1
cairn_gateway_requests_total{class="4xx",op="get"} 1
cairn_gateway_requests_total{class="5xx",op="other"} 1
# HELP cairn_gateway_received_bytes_total Bytes of request bodies, as they came.
# TYPE cairn_gateway_received_bytes_total counter
cairn_gateway_received_bytes_total 43
# HELP cairn_gateway_requests_in_flight S3 requests being answered.
# TYPE cairn_gateway_requests_in_flight gauge
cairn_gateway_requests_in_flight 0
`
	if err := testutil.GatherAndCompare(r.reg, strings.NewReader(want), "cairn_gateway_requests_total", "cairn_gateway_received_bytes_total", "cairn_gateway_requests_in_flight"); err != nil {
		t.Error(err)
	}
	if _, err := New(Config{Store: r.store, Registry: r.reg}); err == nil {
		t.Error("two gateways share one set of metrics")
	}
	if _, err := New(Config{Store: r.store, Registry: prometheus.NewRegistry()}); err != nil {
		t.Error(err)
	}
}

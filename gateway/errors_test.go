package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

func TestEveryClassHasItsS3Error(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
		retry  bool
	}{
		{cairn.ErrNotExist, 404, "NoSuchKey", false},
		{store.ErrNoBucket, 404, "NoSuchBucket", false},
		{cairn.ErrCorrupt, 500, "InternalError", false},
		{cairn.ErrUnavailable, 503, "ServiceUnavailable", true},
		{cairn.ErrFull, 507, "QuotaExceeded", false},
		{cairn.ErrDenied, 403, "AccessDenied", false},
		{cairn.ErrLost, 500, "InternalError", false},
		{cairn.ErrInvalid, 400, "InvalidArgument", false},
		{cairn.ErrPrecondition, 412, "PreconditionFailed", false},
		{cairn.ErrFork, 503, "ServiceUnavailable", true},
		{cairn.ErrSlowDown, 503, "SlowDown", true},
		{errors.New("a bug"), 500, "InternalError", false},
		{context.DeadlineExceeded, 503, "ServiceUnavailable", true},
		{fmt.Errorf("%w, for %w", cairn.ErrLost, cairn.ErrUnavailable), 500, "InternalError", false},
	} {
		t.Run(c.code+" "+c.err.Error(), func(t *testing.T) {
			r := newRig(t)
			r.store.fail = fmt.Errorf("store: pack 17 on node garage: %w", c.err)
			for _, m := range []string{"GET", "HEAD", "PUT", "DELETE"} {
				code := c.code
				if m == "HEAD" {
					code = ""
				}
				body := ""
				if m == "PUT" {
					body = content
				}
				a := r.expect(call{method: m, path: "/private/some-key", body: body}, c.status, code)
				if (a.Header.Get("Retry-After") != "") != c.retry {
					t.Errorf("%s: Retry-After %q", m, a.Header.Get("Retry-After"))
				}
				if m == "HEAD" {
					continue
				}
				if c.err.Error() != "a bug" && !strings.Contains(a.body, "node garage") {
					t.Errorf("the cause is not in %s", a.body)
				}
				if !strings.Contains(a.body, "<Resource>/private/some-key</Resource>") || !strings.Contains(a.body, "<RequestId>"+a.Header.Get("X-Amz-Request-Id")) {
					t.Errorf("%s", a.body)
				}
			}
		})
	}
}

func TestThePublicLearnsNoDetails(t *testing.T) {
	r := newRig(t)
	r.put("public", "k", content)
	r.store.fail = fmt.Errorf("store: node garage: %w", cairn.ErrUnavailable)
	if a := r.expect(call{method: "GET", path: "/public/k", as: "-"}, 503, "ServiceUnavailable"); strings.Contains(a.body, "garage") {
		t.Errorf("%s", a.body)
	}
}

func TestEveryClassStandsInTheTable(t *testing.T) {
	for _, err := range []error{cairn.ErrNotExist, cairn.ErrCorrupt, cairn.ErrUnavailable, cairn.ErrFull, cairn.ErrDenied, cairn.ErrLost,
		cairn.ErrInvalid, cairn.ErrPrecondition, cairn.ErrFork, cairn.ErrSlowDown, store.ErrNoBucket, store.ErrBucketExists, store.ErrBucketNotEmpty} {
		if f := classify(fmt.Errorf("wrapped: %w", err), false); strings.Contains(f.message, "should not") || !errors.Is(f, err) {
			t.Errorf("%v becomes %v", err, f)
		}
	}
}

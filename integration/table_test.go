package integration

import (
	"bytes"
	"context"
	"net/http"
	"testing"
)

// desk is where hand-made requests are sent from in one test.
type desk struct {
	ctx context.Context
	*Client
}

func newDesk(t *testing.T, ctx context.Context, d *Demo, width int) desk {
	t.Helper()
	c := d.Client(width)
	t.Cleanup(c.Close)
	return desk{ctx, c}
}

// ask returns the answer; none at all ends the test.
func (k desk) ask(t *testing.T, a Ask) Reply {
	t.Helper()
	r, err := k.Ask(k.ctx, a)
	if err != nil {
		t.Fatalf("%s %s?%s: %v", a.Method, a.Key, a.Query, err)
	}
	return r
}

// want reports an answer that is another one.
func (k desk) want(t *testing.T, a Ask, status int, code string) Reply {
	t.Helper()
	r := k.ask(t, a)
	if err := r.Is(status, code); err != nil {
		t.Errorf("%s %s?%s: %v", a.Method, a.Key, a.Query, err)
	}
	return r
}

// put stores; it must work.
func (k desk) put(t *testing.T, key string, body []byte, header ...string) Reply {
	t.Helper()
	r := k.want(t, Ask{Method: http.MethodPut, Key: key, Body: body, Header: header}, http.StatusOK, "")
	if t.Failed() {
		t.FailNow()
	}
	return r
}

// holds reports an object that is not exactly body; nil stands for no object.
func (k desk) holds(t *testing.T, key string, body []byte) Reply {
	t.Helper()
	r := k.ask(t, Ask{Method: http.MethodGet, Key: key, Header: []string{"X-Amz-Checksum-Mode", "ENABLED"}})
	switch {
	case body == nil && r.Status != http.StatusNotFound:
		t.Errorf("%s must not be there: %v", key, r)
	case body != nil && r.Status != http.StatusOK:
		t.Errorf("%s: %v", key, r)
	case body != nil && !bytes.Equal(r.Body, body):
		t.Error(compare(key, r.Body, body))
	}
	return r
}

// upload stores the parts in the order given, numbered from 1, and completes.
func (k desk) upload(t *testing.T, key string, parts ...[]byte) Reply {
	t.Helper()
	id, err := k.CreateUpload(k.ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	var list []Part
	for i, body := range parts {
		p, err := k.PutPart(k.ctx, key, id, i+1, body)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	r, err := k.CompleteUpload(k.ctx, key, id, list, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Is(http.StatusOK, ""); err != nil {
		t.Fatalf("complete: %v", err)
	}
	return r
}

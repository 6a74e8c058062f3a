package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/prometheus/client_golang/prometheus"
)

// shortDir is a directory whose paths fit into a socket's address.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cairn")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// gatewayOf serves c on a socket until the test ends or stop is called.
func gatewayOf(t *testing.T, c Config) (socket string, stop func()) {
	t.Helper()
	socket = filepath.Join(shortDir(t), "admin.sock")
	s, err := New(c)
	must(t, err)
	ln, err := ListenSocket(t.Context(), socket)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.ServeSocket(ctx, ln); err != nil {
			t.Error(err)
		}
	})
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return socket, stop
}

func dial(t *testing.T, socket string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), socket)
	must(t, err)
	return c
}

func TestVerbRunsInsideTheGateway(t *testing.T) {
	type args struct{ N int }
	socket, _ := gatewayOf(t, Config{Verbs: []Verb{{Name: "node/add", Run: func(ctx context.Context, raw json.RawMessage, progress func(any)) (any, error) {
		var a args
		if err := json.Unmarshal(raw, &a); err != nil {
			return nil, err
		}
		for i := range a.N {
			progress(i)
		}
		return map[string]int{"done": a.N}, nil
	}}}})
	var reports []string
	var result map[string]int
	err := dial(t, socket).Call(t.Context(), "node/add", args{3}, func(b json.RawMessage) { reports = append(reports, string(b)) }, &result)
	must(t, err)
	if strings.Join(reports, " ") != "0 1 2" || result["done"] != 3 {
		t.Errorf("progress %q, result %v", reports, result)
	}
}

func TestProgressArrivesWhileTheVerbRuns(t *testing.T) {
	seen := make(chan struct{})
	socket, _ := gatewayOf(t, Config{Verbs: []Verb{{Name: "slow", Run: func(ctx context.Context, _ json.RawMessage, progress func(any)) (any, error) {
		progress("begun")
		select {
		case <-seen:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}}})
	must(t, dial(t, socket).Call(t.Context(), "slow", nil, func(json.RawMessage) { close(seen) }, nil))
}

func TestErrorsKeepTheirClass(t *testing.T) {
	for _, want := range []error{cairn.ErrNotExist, cairn.ErrCorrupt, cairn.ErrUnavailable, cairn.ErrFull, cairn.ErrDenied,
		cairn.ErrLost, cairn.ErrInvalid, cairn.ErrPrecondition, cairn.ErrFork, cairn.ErrSlowDown, nil} {
		fails := fmt.Errorf("bucket box: %w", errors.Join(want, errors.New("and more")))
		socket, _ := gatewayOf(t, Config{Verbs: []Verb{{Name: "v", Run: func(context.Context, json.RawMessage, func(any)) (any, error) { return nil, fails }}}})
		err := dial(t, socket).Call(t.Context(), "v", nil, nil, nil)
		if err == nil || cairn.Class(err) != want || err.Error() != fails.Error() {
			t.Errorf("sent %v, got %v of class %v", fails, err, cairn.Class(err))
		}
	}
}

func TestCallRefuses(t *testing.T) {
	socket, _ := gatewayOf(t, Config{Verbs: []Verb{
		{Name: "panics", Run: func(context.Context, json.RawMessage, func(any)) (any, error) { panic("boom") }},
		{Name: "odd", Run: func(context.Context, json.RawMessage, func(any)) (any, error) { return make(chan int), nil }},
	}})
	for _, c := range []struct {
		verb  string
		args  any
		class error
		says  string
	}{
		{"unknown", nil, cairn.ErrInvalid, `no verb "unknown"`},
		{"panics", nil, nil, "boom"},
		{"panics", strings.Repeat("x", maxArgs), cairn.ErrInvalid, "at most"},
		{"odd", nil, nil, "does not encode"},
	} {
		err := dial(t, socket).Call(t.Context(), c.verb, c.args, nil, nil)
		if err == nil || cairn.Class(err) != c.class || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v", c.verb, err)
		}
	}
}

func TestStoppingGatewayEndsVerbs(t *testing.T) {
	begun := make(chan struct{})
	socket, stop := gatewayOf(t, Config{Verbs: []Verb{{Name: "endless", Run: func(ctx context.Context, _ json.RawMessage, _ func(any)) (any, error) {
		close(begun)
		<-ctx.Done()
		return nil, ctx.Err()
	}}}})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := dial(t, socket).Call(t.Context(), "endless", nil, nil, nil)
		if !errors.Is(err, cairn.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
	<-begun
	stop()
	wg.Wait()
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Error("the socket stays behind")
	}
	if _, err := Dial(t.Context(), socket); !errors.Is(err, cairn.ErrNotExist) {
		t.Errorf("dial after the end: %v", err)
	}
}

// A caller who presses Ctrl-C ends the verb.
func TestCallerWhoLeavesEndsTheVerb(t *testing.T) {
	ended := make(chan error, 1)
	begun := make(chan struct{})
	socket, _ := gatewayOf(t, Config{Verbs: []Verb{{Name: "endless", Run: func(ctx context.Context, _ json.RawMessage, _ func(any)) (any, error) {
		close(begun)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}}}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	if err := dial(t, socket).Call(ctx, "endless", nil, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the verb saw %v", err)
	}
}

// TestCutOffAnswer: an answer without its last line is never taken for done.
func TestCutOffAnswer(t *testing.T) {
	for _, text := range []string{"", "{\"progress\":1}\n", "{\"result\":", "no JSON\n"} {
		socket := filepath.Join(shortDir(t), "s")
		ln, err := ListenSocket(t.Context(), socket)
		must(t, err)
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })}
		var wg sync.WaitGroup
		wg.Go(func() { srv.Serve(ln) })
		err = dial(t, socket).Call(t.Context(), "v", nil, nil, nil)
		if !errors.Is(err, cairn.ErrUnavailable) || !strings.Contains(err.Error(), "not known") {
			t.Errorf("%q: got %v", text, err)
		}
		srv.Close()
		wg.Wait()
	}
}

func TestWatchChangesNothing(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_test_total"}))
	sick := errors.New("index failed")
	s, err := New(Config{
		Verbs:    []Verb{{Name: "v", Run: func(context.Context, json.RawMessage, func(any)) (any, error) { panic("reached") }}},
		Status:   func(context.Context) (any, error) { return map[string]int{"fsyncs": 7}, nil },
		Healthy:  func(context.Context) error { return sick },
		Page:     func(_ context.Context, w io.Writer) error { _, err := io.WriteString(w, "all is well"); return err },
		Gatherer: reg,
	})
	must(t, err)
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.ServeWatch(ctx, ln); err != nil {
			t.Error(err)
		}
	})
	defer wg.Wait()
	defer cancel()
	for _, c := range []struct {
		method, path string
		status       int
		says         string
	}{
		{"GET", "/healthz", 503, "index failed"},
		{"GET", "/api/status", 200, `{"fsyncs":7}`},
		{"GET", "/metrics", 200, "cairn_test_total 0"},
		{"GET", "/", 200, "all is well"},
		{"GET", "/nothing", 404, ""},
		{"POST", "/v1/v", 404, ""},
		{"POST", "/api/status", 405, ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+ln.Addr().String()+c.path, nil)
		must(t, err)
		answer, err := http.DefaultClient.Do(r)
		must(t, err)
		body, err := io.ReadAll(answer.Body)
		must(t, err)
		answer.Body.Close()
		if answer.StatusCode != c.status || !strings.Contains(string(body), c.says) {
			t.Errorf("%s %s: %d %s", c.method, c.path, answer.StatusCode, body)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestPanicInAHandlerAnswers500(t *testing.T) {
	s, err := New(Config{Healthy: func(context.Context) error { panic("boom") }})
	must(t, err)
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.ServeWatch(ctx, ln) })
	defer wg.Wait()
	defer cancel()
	answer, err := http.Get("http://" + ln.Addr().String() + "/healthz")
	must(t, err)
	answer.Body.Close()
	if answer.StatusCode != http.StatusInternalServerError {
		t.Errorf("got %s", answer.Status)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestListenRefuses(t *testing.T) {
	dir := shortDir(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer busy.Close()
	live, err := ListenSocket(t.Context(), filepath.Join(dir, "live"))
	must(t, err)
	defer live.Close()
	must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o600))
	for _, c := range []struct {
		address string
		class   error
		says    string
	}{
		{busy.Addr().String(), cairn.ErrUnavailable, "address already in use"},
		{"unix:" + filepath.Join(dir, "live"), cairn.ErrUnavailable, "another process answers"},
		{"unix:" + filepath.Join(dir, "file"), cairn.ErrPrecondition, "no socket"},
		{"unix:" + filepath.Join(dir, "file", "s"), cairn.ErrInvalid, "not a directory"},
		{"192.0.2.1:0", cairn.ErrInvalid, "192.0.2.1"},
	} {
		ln, err := Listen(t.Context(), c.address)
		if err == nil {
			ln.Close()
		}
		if !errors.Is(err, c.class) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: got %v", c.address, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(b) != "x" {
		t.Errorf("the file in the way was changed: %q %v", b, err)
	}
}

func TestDeadSocketIsReplaced(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	dead, err := net.Listen("unix", path)
	must(t, err)
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	must(t, dead.Close())
	ln, err := ListenSocket(t.Context(), path)
	must(t, err)
	defer ln.Close()
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v: others could run verbs", info.Mode().Perm())
	}
	dial(t, path)
	if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

func TestNewRefusesTwoOfOneName(t *testing.T) {
	run := func(context.Context, json.RawMessage, func(any)) (any, error) { return nil, nil }
	if _, err := New(Config{Verbs: []Verb{{Name: "a", Run: run}, {Name: "a", Run: run}}}); !errors.Is(err, cairn.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

package gateway

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
)

// writePair puts a new certificate for localhost, with that serial number,
// where cert and key are.
func writePair(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(100 * time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}))
	writeFile(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

// writeFile replaces a file as those do who renew certificates.
func writeFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestACertificateIsReadAgainWhenItChanges(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	synctest.Test(t, func(t *testing.T) {
		writePair(t, cert, key, 1)
		var log lockedBuffer
		c, err := LoadCertificate(cert, key, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		serial := func() int64 { return c.get(t.Context()).Leaf.SerialNumber.Int64() }
		expect := func(want int64, lines int, what string) {
			t.Helper()
			if got := serial(); got != want {
				t.Errorf("%s: certificate %d, want %d", what, got, want)
			}
			if n := strings.Count(log.String(), "\n"); n != lines {
				t.Errorf("%s: %d lines, want %d:\n%s", what, n, lines, log.String())
			}
		}
		expect(1, 0, "at first")
		writePair(t, cert, key, 2)
		expect(1, 0, "at once after a change")
		time.Sleep(certificateAge)
		expect(2, 1, "a while after a change")
		time.Sleep(certificateAge)
		expect(2, 1, "without a change")

		keep, err := os.ReadFile(key)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, key, []byte("nonsense"))
		time.Sleep(certificateAge)
		expect(2, 2, "a bad key")
		time.Sleep(certificateAge)
		expect(2, 2, "a bad key, later")
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		time.Sleep(certificateAge)
		expect(2, 3, "no key")
		time.Sleep(certificateAge)
		expect(2, 3, "no key, later")
		writeFile(t, key, keep)
		time.Sleep(certificateAge)
		expect(2, 4, "the old key again")
		if err := os.Chmod(key, 0o644); err != nil {
			t.Fatal(err)
		}
		time.Sleep(certificateAge)
		expect(2, 5, "a key for all to read")
		writePair(t, cert, key, 3)
		time.Sleep(certificateAge)
		expect(3, 6, "a new pair")
	})
}

func TestACertificateThatCannotServeIsRefused(t *testing.T) {
	dir := t.TempDir()
	cert, key, other := filepath.Join(dir, "cert"), filepath.Join(dir, "key"), filepath.Join(dir, "other")
	writePair(t, cert, other, 1)
	writePair(t, cert, key, 1)
	for _, c := range []struct {
		cert, key string
		want      error
	}{{cert, key, nil}, {cert, other, cairn.ErrInvalid}, {cert, filepath.Join(dir, "none"), cairn.ErrNotExist}, {key, key, cairn.ErrInvalid}} {
		if _, err := LoadCertificate(c.cert, c.key, nil); !errors.Is(err, c.want) {
			t.Errorf("%s, %s: %v", c.cert, c.key, err)
		}
	}
	if err := os.Chmod(key, 0o604); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadCertificate(cert, key, nil); !errors.Is(err, cairn.ErrDenied) {
		t.Errorf("a key for all to read: %v", err)
	}
}

// secureRig serves a rig's gateway over TLS and gives a client for it.
type secureRig struct {
	*rig
	client *http.Client
	url    string
	stop   func() error
}

func newSecureRig(t *testing.T, protocols func(*http.Protocols)) *secureRig {
	t.Helper()
	r := newRig(t)
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	writePair(t, cert, key, 1)
	c, err := LoadCertificate(cert, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- r.g.ServeTLS(ctx, ln, c) }()
	roots := x509.NewCertPool()
	roots.AddCert(c.pair.Load().Leaf)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"}, Protocols: new(http.Protocols)}
	protocols(transport.Protocols)
	s := &secureRig{rig: r, client: &http.Client{Transport: transport}, url: "https://" + ln.Addr().String()}
	stopped := false
	s.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-served
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func http1(p *http.Protocols) { p.SetHTTP1(true) }
func http2(p *http.Protocols) { p.SetHTTP2(true) }

// send is a request of the writer over TLS, signed or with a password.
func (s *secureRig) send(method, path, body string, password bool) (*http.Response, error) {
	q, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if password {
		q.SetBasicAuth("writer", "secret of writer")
		return s.client.Do(q)
	}
	at := signer{"writer", "secret of writer", "us-east-1", time.Now()}
	q.Header.Set("X-Amz-Date", at.stamp())
	q.Header.Set("X-Amz-Content-Sha256", modeUnsigned)
	at.sign(q, modeUnsigned)
	return s.client.Do(q)
}

func TestTLSAndHTTP2(t *testing.T) {
	for name, c := range map[string]struct {
		protocols func(*http.Protocols)
		proto     string
	}{"HTTP/1.1": {http1, "HTTP/1.1"}, "HTTP/2": {http2, "HTTP/2.0"}} {
		t.Run(name, func(t *testing.T) {
			s := newSecureRig(t, c.protocols)
			big := strings.Repeat("0123456789abcdef", 200_000)
			for _, password := range []bool{false, true} {
				resp, err := s.send("PUT", "/private/k", big, password)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != 200 || resp.Proto != c.proto {
					t.Fatalf("%s %d", resp.Proto, resp.StatusCode)
				}
				resp, err = s.send("GET", "/private/k", "", password)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(body) != big {
					t.Fatalf("%d bytes of %d, %v", len(body), len(big), err)
				}
			}
		})
	}
}

// failing gives n bytes, then an error.
type failing struct {
	io.ReadCloser
	n int
}

func (f *failing) Read(p []byte) (int, error) {
	if f.n == 0 {
		return 0, errors.New("the node is gone")
	}
	n, err := f.ReadCloser.Read(p[:min(len(p), f.n)])
	f.n -= n
	return n, err
}

// An answer that cannot be finished must not look finished, whatever carries it.
func TestATornAnswerIsAnErrorOverTLSToo(t *testing.T) {
	for name, protocols := range map[string]func(*http.Protocols){"HTTP/1.1": http1, "HTTP/2": http2} {
		t.Run(name, func(t *testing.T) {
			s := newSecureRig(t, protocols)
			s.put("private", "k", strings.Repeat("x", 1<<20))
			s.store.ranged = func(c io.ReadCloser) (io.ReadCloser, error) { return &failing{c, 300_000}, nil }
			resp, err := s.send("GET", "/private/k", "", false)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err == nil || len(body) >= 1<<20 {
				t.Errorf("%d bytes and %v", len(body), err)
			}
			if resp.StatusCode != 200 {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
}

func TestServeFinishesWhatItBeganOverHTTP2(t *testing.T) {
	s := newSecureRig(t, http2)
	big := strings.Repeat("x", 4<<20)
	s.put("private", "k", big)
	reading, release := make(chan struct{}), make(chan struct{})
	s.store.ranged = func(c io.ReadCloser) (io.ReadCloser, error) {
		close(reading)
		<-release
		return c, nil
	}
	got := make(chan error, 1)
	go func() {
		resp, err := s.send("GET", "/private/k", "", false)
		if err == nil {
			var body bytes.Buffer
			_, err = body.ReadFrom(resp.Body)
			resp.Body.Close()
			if err == nil && body.String() != big {
				err = errors.New("another body")
			}
		}
		got <- err
	}()
	<-reading
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	// The listener goes first, so a refused connection shows that Serve is
	// ending while the request is still in flight.
	for {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "https://"))
		if err != nil {
			break
		}
		conn.Close()
	}
	select {
	case err := <-stopped:
		t.Fatalf("Serve returned %v with a request in flight", err)
	default:
	}
	close(release)
	if err := <-got; err != nil {
		t.Error(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestKnockingAtTheDoorIsNoWarning(t *testing.T) {
	var log lockedBuffer
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelDebug} {
		h := serverLog{slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level})}
		slog.NewLogLogger(h, slog.LevelWarn).Printf("http: TLS handshake error from x at %v", level)
		slog.NewLogLogger(h, slog.LevelWarn).Printf("http: Accept error at %v", level)
	}
	if l := log.String(); strings.Contains(l, "handshake error from x at INFO") || !strings.Contains(l, "level=DEBUG msg=\"http: TLS handshake error from x at DEBUG") ||
		strings.Count(l, "level=WARN") != 2 {
		t.Errorf("%s", l)
	}
}

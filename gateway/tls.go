package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
)

// certificateAge is how often, at most, a handshake looks whether the files
// are still those that were read.
const certificateAge = 10 * time.Second

// Certificate is a TLS certificate in files that somebody else renews. It is
// safe for concurrent use.
type Certificate struct {
	cert, key string
	log       *slog.Logger

	pair    atomic.Pointer[loadedPair] // in use, never nil
	seen    atomic.Pointer[pairStamp]  // of the files when they were last read, good or bad
	checked atomic.Int64               // when the files were last looked at, Unix nanoseconds
}

type loadedPair struct{ tls.Certificate }

// pairStamp tells one state of the two files from another.
type pairStamp struct{ cert, key os.FileInfo }

// LoadCertificate reads a chain and its key, both PEM. The key is a secret:
// ErrDenied when everyone on the machine may read it, ErrInvalid when the two
// do not belong together, ErrNotExist when one is missing.
func LoadCertificate(cert, key string, log *slog.Logger) (*Certificate, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Certificate{cert: cert, key: key, log: log}
	stamp, err := c.stamp()
	if err != nil {
		return nil, err
	}
	pair, err := c.read()
	if err != nil {
		return nil, err
	}
	c.pair.Store(pair)
	c.seen.Store(stamp)
	c.checked.Store(time.Now().UnixNano())
	return c, nil
}

// read returns the pair as it stands in the files.
func (c *Certificate) read() (*loadedPair, error) {
	pair, err := config.ReadPair(c.cert, c.key)
	if err != nil {
		return nil, err
	}
	return &loadedPair{pair}, nil
}

func (c *Certificate) stamp() (*pairStamp, error) {
	cert, err1 := os.Stat(c.cert)
	key, err2 := os.Stat(c.key)
	if err := errors.Join(err1, err2); err != nil {
		class := cairn.ErrInvalid
		if errors.Is(err, os.ErrNotExist) {
			class = cairn.ErrNotExist
		}
		return nil, fmt.Errorf("TLS certificate: %w: %w", err, class)
	}
	return &pairStamp{cert, key}, nil
}

func (p *pairStamp) same(q *pairStamp) bool {
	if p == nil || q == nil {
		return p == q
	}
	same := func(a, b os.FileInfo) bool {
		return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
	}
	return same(p.cert, q.cert) && same(p.key, q.key)
}

// get gives the pair to use. One handshake in each certificateAge looks at the
// files; the others go on with what there is. A new pair that cannot be used
// leaves the old one in place, and is told of once.
func (c *Certificate) get(ctx context.Context) *tls.Certificate {
	now, last := time.Now().UnixNano(), c.checked.Load()
	if now-last >= int64(certificateAge) && c.checked.CompareAndSwap(last, now) {
		c.refresh(ctx)
	}
	return &c.pair.Load().Certificate
}

func (c *Certificate) refresh(ctx context.Context) {
	stamp, err := c.stamp()
	if err == nil && stamp.same(c.seen.Load()) {
		return
	}
	known := c.seen.Swap(stamp)
	if err == nil {
		var pair *loadedPair
		if pair, err = c.read(); err == nil {
			c.pair.Store(pair)
			c.log.InfoContext(ctx, "TLS certificate renewed", "file", c.cert, "until", pair.Leaf.NotAfter.UTC())
			return
		}
	} else if known == nil {
		return // still missing
	}
	c.log.WarnContext(ctx, "the new TLS certificate cannot be used, the old one stays", "file", c.cert, "until", c.pair.Load().Leaf.NotAfter.UTC(), "err", err)
}

// config is how connections are served with c.
func (c *Certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.get(hello.Context()), nil
		},
	}
}

// serverLog takes what net/http has to say. Handshakes that fail are mostly
// somebody knocking at every door: they are for Debug.
type serverLog struct{ slog.Handler }

func (l serverLog) Handle(ctx context.Context, record slog.Record) error {
	if strings.HasPrefix(record.Message, "http: TLS handshake error") {
		record.Level = slog.LevelDebug
		if !l.Enabled(ctx, record.Level) {
			return nil
		}
	}
	return l.Handler.Handle(ctx, record)
}

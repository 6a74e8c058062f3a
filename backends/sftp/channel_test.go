package sftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"

	"github.com/pkg/sftp"

	"github.com/cairn-storage/cairn"
)

func hello(extensions ...string) []byte {
	p := []byte{fxVersion, 0, 0, 0, 3}
	for _, e := range extensions {
		p = binary.BigEndian.AppendUint32(p, uint32(len(e)))
		p = append(p, e...)
	}
	return p
}

func TestGreetingIsParsedStrictly(t *testing.T) {
	for name, c := range map[string]struct {
		packet []byte
		limits bool
		bad    bool
	}{
		"no extensions":         {packet: hello()},
		"limits":                {packet: hello("fsync@openssh.com", "1", limitsName, "1"), limits: true},
		"another version of it": {packet: hello(limitsName, "2")},
		"empty":                 {packet: []byte{}, bad: true},
		"a status":              {packet: []byte{fxStatus, 0, 0, 0, 3}, bad: true},
		"version 6":             {packet: []byte{fxVersion, 0, 0, 0, 6}, bad: true},
		"half a pair":           {packet: hello("fsync@openssh.com"), bad: true},
		"cut short":             {packet: hello(limitsName, "1")[:20], bad: true},
		"a length that wraps":   {packet: append(hello(), 0xff, 0xff, 0xff, 0xff, 'x'), bad: true},
	} {
		limits, err := offersLimits(c.packet)
		if limits != c.limits || errors.Is(err, cairn.ErrCorrupt) != c.bad {
			t.Errorf("%s: %v, %v", name, limits, err)
		}
	}
}

// exchange answers a request with a fixed reply.
type exchange struct {
	io.Reader
	bytes.Buffer
}

func (e *exchange) Read(p []byte) (int, error) { return e.Reader.Read(p) }

func TestPacketsKeepToTheServersLimits(t *testing.T) {
	reply := func(kind byte, id uint32, limits ...uint64) []byte {
		p := binary.BigEndian.AppendUint32([]byte{kind}, id)
		for _, l := range limits {
			p = binary.BigEndian.AppendUint64(p, l)
		}
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(p))), p...)
	}
	for name, c := range map[string]struct {
		reply []byte
		want  int
	}{
		"OpenSSH":                 {reply(fxExtendedReply, 1, 256<<10, 255<<10, 255<<10, 1000), 255 << 10},
		"more than we can take":   {reply(fxExtendedReply, 1, 1<<20, 1<<20, 1<<20, 0), 255 << 10},
		"little to read":          {reply(fxExtendedReply, 1, 256<<10, 16<<10, 255<<10, 0), 16 << 10},
		"little to write":         {reply(fxExtendedReply, 1, 256<<10, 255<<10, 20<<10, 0), 20 << 10},
		"small packets":           {reply(fxExtendedReply, 1, 34<<10, 255<<10, 255<<10, 0), 33 << 10},
		"a limit that is unknown": {reply(fxExtendedReply, 1, 256<<10, 0, 255<<10, 0), 32 << 10},
		"refused":                 {reply(fxStatus, 1), 32 << 10},
		"another request's":       {reply(fxExtendedReply, 2, 256<<10, 255<<10, 255<<10, 1000), 0},
		"nothing fits":            {reply(fxExtendedReply, 1, 1000, 255<<10, 255<<10, 1000), 0},
		"cut short":               {reply(fxExtendedReply, 1, 256<<10), 0},
		"endless":                 {[]byte{0x7f, 0xff, 0xff, 0xff}, 0},
		"nothing":                 {nil, 0},
	} {
		packet, err := askLimits(&exchange{Reader: bytes.NewReader(c.reply)})
		if packet != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%s: got %d, %v, want %d", name, packet, err, c.want)
		}
	}
}

// stingy answers every read with at most 1,000 bytes.
type stingy struct{ data []byte }

func (s stingy) Fileread(*sftp.Request) (io.ReaderAt, error) { return s, nil }
func (s stingy) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(s.data)) {
		return 0, io.EOF
	}
	return copy(p[:min(len(p), 1000)], s.data[off:]), nil
}
func (s stingy) Filewrite(*sftp.Request) (io.WriterAt, error)   { return nil, os.ErrPermission }
func (s stingy) Filecmd(*sftp.Request) error                    { return os.ErrPermission }
func (s stingy) Filelist(*sftp.Request) (sftp.ListerAt, error)  { return s, nil }
func (s stingy) ListAt(p []os.FileInfo, off int64) (int, error) { return 0, io.EOF }

func TestShortAnswersAreNotTakenForTheEnd(t *testing.T) {
	data := make([]byte, 200_000)
	for i := range data {
		data[i] = byte(i >> 7)
	}
	here, there := net.Pipe()
	server := sftp.NewRequestServer(there, sftp.Handlers{
		FileGet: stingy{data}, FilePut: stingy{data}, FileCmd: stingy{data}, FileList: stingy{data},
	})
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve() })
	defer wg.Wait()
	client, err := sftp.NewClientPipe(here, here)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	f, err := client.Open("x")
	if err != nil {
		t.Fatal(err)
	}
	ch := &channel{c: client, packet: safePacket}
	for _, c := range []struct{ off, n int }{{0, 200_000}, {5, 999}, {100_000, 33_000}, {199_999, 1}} {
		got := make([]byte, c.n)
		if err := ch.readFull(f, got, int64(c.off)); err != nil || !bytes.Equal(got, data[c.off:c.off+c.n]) {
			t.Errorf("%d bytes from %d: %v", c.n, c.off, err)
		}
	}
}

func TestEndlessListingIsEnded(t *testing.T) {
	in := &intake{Reader: bytes.NewReader(make([]byte, maxListing+2))}
	ctx, done := in.bound(t.Context())
	defer done()
	if _, err := io.CopyN(io.Discard, in, maxListing); err != nil || ctx.Err() != nil {
		t.Fatalf("ended at the bound: %v, %v", err, ctx.Err())
	}
	if _, err := io.CopyN(io.Discard, in, 1); err != nil || ctx.Err() == nil {
		t.Errorf("not ended past the bound: %v", err)
	}
	later, done := in.bound(t.Context())
	defer done()
	if _, err := io.CopyN(io.Discard, in, 1); err != nil || later.Err() != nil {
		t.Errorf("a later listing pays for an earlier one: %v", err)
	}
}

func TestNumbersOfTheNodeDoNotWrap(t *testing.T) {
	for _, c := range []struct {
		blocks, size uint64
		want         int64
	}{{0, 0, 0}, {10, 4096, 40960}, {1 << 62, 4, 1<<63 - 1}, {1<<64 - 1, 1<<64 - 1, 1<<63 - 1}} {
		if got := bytesOf(c.blocks, c.size); got != c.want {
			t.Errorf("%d blocks of %d: got %d, want %d", c.blocks, c.size, got, c.want)
		}
	}
}

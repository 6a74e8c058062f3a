package sftp

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/cairn-storage/cairn"
)

// FuzzGreeting: what a server says before the library takes over is read within
// its bounds, and gives a packet size that is safe to ask for.
func FuzzGreeting(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x05\x02\x00\x00\x00\x03"), []byte{})
	f.Add([]byte("\x00\x00\x00\x1f\x02\x00\x00\x00\x03\x00\x00\x00\x12limits@openssh.com\x00\x00\x00\x011"),
		append([]byte("\x00\x00\x00\x25\xc9\x00\x00\x00\x01"), bytes.Repeat([]byte{0, 0, 0, 0, 0, 4, 0, 0}, 4)...))
	f.Add([]byte("\xff\xff\xff\xff"), []byte("\x00\x00\x00\x05\x65\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, greeting, limits []byte) {
		check := func(err error) {
			if err != nil && !errors.Is(err, cairn.ErrCorrupt) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Error(err)
			}
		}
		p, err := readPacket(bytes.NewReader(greeting))
		check(err)
		if len(p) > safePacket {
			t.Errorf("a packet of %d bytes", len(p))
		}
		if err == nil {
			_, err = offersLimits(p)
			check(err)
		}
		n, err := askLimits(answers{bytes.NewReader(limits)})
		check(err)
		if err == nil && (n < 1 || n > maxPacket) {
			t.Errorf("packets of %d bytes", n)
		}
	})
}

// answers is a server that has said all it will.
type answers struct{ io.Reader }

func (answers) Write(p []byte) (int, error) { return len(p), nil }

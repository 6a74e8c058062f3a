package sftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/cairn-storage/cairn"
)

// Sizes of SFTP packets.
const (
	// safePacket is what every server must take, and the most that many give.
	safePacket = 32 << 10
	// maxPacket is the most that fits into packets of 256 KiB.
	maxPacket = 255 << 10
	// inFlight is how much of one file is asked for at once: the window of a
	// channel, more would only wait.
	inFlight = 2 << 20
)

// channel is one SFTP session on a link, with a window and, on most servers,
// a process of its own.
type channel struct {
	l      *link
	c      *sftp.Client
	packet int  // bytes of content in one packet
	fsync  bool // fsync@openssh.com is offered
	posix  bool // posix-rename@openssh.com is offered
	rtt    time.Duration
	load   atomic.Int64 // bytes that calls under way carry
	in     *intake
}

// openChannel opens a session, starts sftp in it and learns its limits: four
// round trips, or three where the server tells none. It blocks until the link
// is dropped when the server does not answer.
func openChannel(l *link) (*channel, error) {
	start := time.Now()
	raw, requests, err := l.ssh.OpenChannel("session", nil)
	if err != nil {
		return nil, err
	}
	rtt := time.Since(start)
	if !l.tend(func() { ssh.DiscardRequests(requests) }) || !l.tend(func() { _, _ = io.Copy(io.Discard, raw.Stderr()) }) {
		return nil, l.cause()
	}
	subsystem := struct{ Name string }{"sftp"}
	ok, err := raw.SendRequest("subsystem", true, ssh.Marshal(&subsystem))
	if err == nil && !ok {
		err = errors.New("the server refused the sftp subsystem")
	}
	if err != nil {
		_ = raw.Close() // half open: nothing to save
		return nil, err
	}
	ch, err := greet(raw)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	ch.l, ch.rtt = l, rtt
	return ch, nil
}

// greet does the opening exchange itself, because the library cannot ask for
// limits, and then lets the library believe that it did it.
func greet(raw ssh.Channel) (*channel, error) {
	hello := []byte{0, 0, 0, 5, fxInit, 0, 0, 0, 3}
	if _, err := raw.Write(hello); err != nil {
		return nil, err
	}
	version, err := readPacket(raw)
	if err != nil {
		return nil, err
	}
	limits, err := offersLimits(version)
	if err != nil {
		return nil, err
	}
	ch := &channel{packet: safePacket}
	if limits {
		if ch.packet, err = askLimits(raw); err != nil {
			return nil, err
		}
	}
	ch.in = &intake{Reader: raw}
	replay := binary.BigEndian.AppendUint32(nil, uint32(len(version)))
	replay = append(replay, version...)
	ch.c, err = sftp.NewClientPipe(
		io.MultiReader(bytes.NewReader(replay), ch.in),
		&skipping{WriteCloser: raw, skip: len(hello)},
		sftp.MaxPacketUnchecked(ch.packet),
		sftp.MaxConcurrentRequestsPerFile(max(inFlight/ch.packet, 1)),
		sftp.UseConcurrentWrites(true),
		sftp.UseConcurrentReads(true),
	)
	if err != nil {
		return nil, err
	}
	fsync, _ := ch.c.HasExtension("fsync@openssh.com")
	posix, _ := ch.c.HasExtension("posix-rename@openssh.com")
	ch.fsync, ch.posix = fsync == "1", posix == "1"
	return ch, nil
}

// skipping swallows the first bytes written, which went out already.
type skipping struct {
	io.WriteCloser
	skip int
}

func (s *skipping) Write(p []byte) (int, error) {
	n := min(s.skip, len(p))
	s.skip -= n
	if n == len(p) {
		return n, nil
	}
	m, err := s.WriteCloser.Write(p[n:])
	return n + m, err
}

// Packet types and the version of the protocol that everybody speaks.
const (
	fxInit          = 1
	fxVersion       = 2
	fxStatus        = 101
	fxExtended      = 200
	fxExtendedReply = 201

	protocolVersion = 3
	limitsName      = "limits@openssh.com"
)

// offersLimits parses a VERSION packet.
func offersLimits(packet []byte) (bool, error) {
	if len(packet) < 5 || packet[0] != fxVersion {
		return false, fmt.Errorf("not an sftp greeting: %w", cairn.ErrCorrupt)
	}
	if v := binary.BigEndian.Uint32(packet[1:]); v != protocolVersion {
		return false, fmt.Errorf("sftp version %d, not %d: %w", v, protocolVersion, cairn.ErrCorrupt)
	}
	limits := false
	for rest := packet[5:]; len(rest) > 0; {
		var name, data []byte
		var ok1, ok2 bool
		name, rest, ok1 = cutString(rest)
		data, rest, ok2 = cutString(rest)
		if !ok1 || !ok2 {
			return false, fmt.Errorf("sftp greeting is cut short: %w", cairn.ErrCorrupt)
		}
		limits = limits || string(name) == limitsName && string(data) == "1"
	}
	return limits, nil
}

// askLimits returns how much content the server takes and gives in a packet.
func askLimits(raw io.ReadWriter) (int, error) {
	const id = 1 // the library's first is 1 as well, but this one is answered by then
	ask := []byte{0, 0, 0, 0, fxExtended, 0, 0, 0, id, 0, 0, 0, byte(len(limitsName))}
	ask = append(ask, limitsName...)
	binary.BigEndian.PutUint32(ask, uint32(len(ask)-4))
	if _, err := raw.Write(ask); err != nil {
		return 0, err
	}
	reply, err := readPacket(raw)
	switch {
	case err != nil:
		return 0, err
	case len(reply) < 5 || binary.BigEndian.Uint32(reply[1:]) != id:
		return 0, fmt.Errorf("reply to %s: %w", limitsName, cairn.ErrCorrupt)
	case reply[0] == fxStatus: // offered, then refused: as if not offered
		return safePacket, nil
	case reply[0] != fxExtendedReply || len(reply) < 5+4*8:
		return 0, fmt.Errorf("reply to %s: %w", limitsName, cairn.ErrCorrupt)
	}
	packet := uint64(maxPacket)
	for i, margin := range []uint64{1024, 0, 0} { // whole packet, read, write
		limit := binary.BigEndian.Uint64(reply[5+8*i:])
		switch {
		case limit == 0: // not told: do not assume
			packet = min(packet, safePacket)
		case limit <= margin:
			return 0, fmt.Errorf("packets of at most %d bytes: %w", limit, cairn.ErrCorrupt)
		default:
			packet = min(packet, limit-margin)
		}
	}
	return int(packet), nil
}

// readPacket reads one packet without its length.
func readPacket(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("no sftp greeting: %w", err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > safePacket {
		return nil, fmt.Errorf("sftp packet of %d bytes: %w", n, cairn.ErrCorrupt)
	}
	p := make([]byte, n)
	if _, err := io.ReadFull(r, p); err != nil {
		return nil, fmt.Errorf("sftp packet: %w", err)
	}
	return p, nil
}

func cutString(p []byte) (s, rest []byte, ok bool) {
	if len(p) < 4 {
		return nil, nil, false
	}
	n := binary.BigEndian.Uint32(p)
	if uint64(n) > uint64(len(p)-4) {
		return nil, nil, false
	}
	return p[4 : 4+n], p[4+n:], true
}

package contribute

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

const (
	// handshakeTimeout is how long a peer may take until its key is proven.
	handshakeTimeout = 30 * time.Second
	// maxChannels is what OpenSSH allows too; each is an SFTP session.
	maxChannels = 10
	// maxPacket is the largest reply that fits an SFTP packet of 256 KiB, with
	// room for its header.
	maxPacket = 255 << 10
)

// connection serves one TCP connection until it or ctx ends, and waits for
// all of its sessions.
func (s *Server) connection(ctx context.Context, c net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel() // closes c
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer func() {
		if stop() {
			_ = c.Close()
		}
	}()

	from := c.RemoteAddr().String()
	_ = c.SetDeadline(time.Now().Add(handshakeTimeout)) // fails on a closed connection only
	conn, channels, requests, err := ssh.NewServerConn(c, s.ssh)
	if err != nil {
		s.log.Info("contribute: refused", "from", from, "err", err)
		return
	}
	_ = c.SetDeadline(time.Time{})
	s.log.Info("contribute: connected", "from", from, "user", conn.User())
	defer s.log.Info("contribute: disconnected", "from", from)

	// Declining forwarding requests and answering keepalives is one thing.
	wg.Go(func() { ssh.DiscardRequests(requests) })
	var open atomic.Int32
	for ch := range channels {
		if ch.ChannelType() != "session" || open.Load() >= maxChannels {
			_ = ch.Reject(ssh.Prohibited, "only a few sftp sessions are served")
			continue
		}
		open.Add(1)
		wg.Go(func() {
			defer open.Add(-1)
			s.channel(ctx, ch)
		})
	}
}

// channel serves one session channel: the first request must be the sftp
// subsystem; a shell, a command or a terminal is refused.
func (s *Server) channel(ctx context.Context, offered ssh.NewChannel) {
	ch, requests, err := offered.Accept()
	if err != nil {
		return // the connection is gone
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer ch.Close()

	for r := range requests {
		var subsystem struct{ Name string }
		wanted := r.Type == "subsystem" && ssh.Unmarshal(r.Payload, &subsystem) == nil && subsystem.Name == "sftp"
		var root *os.Root
		if wanted {
			// Opened anew for each session: a disk mounted after the start, or
			// away meanwhile, is seen as it is now.
			if root, err = os.OpenRoot(s.c.Dir); err != nil {
				s.log.Warn("contribute: directory is not there", "err", err)
				wanted = false
			}
		}
		if r.WantReply {
			_ = r.Reply(wanted, nil) // the read below notices a lost connection
		}
		if wanted {
			wg.Go(func() { ssh.DiscardRequests(requests) })
			s.sftp(ctx, ch, root)
			return
		}
	}
}

func (s *Server) sftp(ctx context.Context, ch ssh.Channel, root *os.Root) {
	defer root.Close()
	h := &session{s: s, ctx: ctx, root: root}
	server := sftp.NewRequestServer(ch,
		sftp.Handlers{FileGet: h, FilePut: h, FileCmd: h, FileList: h},
		sftp.WithRSAllocator(), sftp.WithRSMaxTxPacket(maxPacket))
	err := server.Serve()
	if err != nil && !errors.Is(err, io.EOF) {
		s.log.Debug("contribute: session ended", "err", err)
	}
	var status struct{ Code uint32 }
	_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(&status)) // a courtesy
}

// session answers the requests of one SFTP session below root.
type session struct {
	s    *Server
	ctx  context.Context // ends with the connection
	root *os.Root
}

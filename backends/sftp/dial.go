package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/cairn-storage/cairn"
)

// dial makes a link with its channels, or fails when ctx ends.
func (r *Remote) dial(ctx context.Context) (*link, error) {
	r.mu.Lock()
	algos := r.hostAlgos
	r.mu.Unlock()
	if algos == nil {
		algos = allAlgos()
	}
	l, err := r.handshake(ctx, algos)
	// The pin may be of another of the server's keys than the first it shows:
	// ask for each kind by itself before crying wolf.
	var changed *keyChangedError
	if errors.As(err, &changed) {
		for _, family := range [][]string{ed25519Algos(), ecdsaAlgos(), rsaAlgos()} {
			l2, err2 := r.handshake(ctx, family)
			if err2 == nil {
				r.mu.Lock()
				r.hostAlgos = family
				r.mu.Unlock()
				l, err = l2, nil
				break
			}
		}
	}
	if err != nil {
		return nil, err
	}

	stop := context.AfterFunc(ctx, func() { l.drop(context.Cause(ctx)) })
	err = l.openChannels(r.c.Channels)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		l.drop(err)
	}
	r.wg.Go(func() {
		l.wait()
		r.held.forget(l)
		if err == nil {
			r.log.Info("sftp: disconnected", "node", r.c.Node, "err", l.cause())
		}
	})
	if err != nil {
		return nil, err
	}
	r.log.Info("sftp: connected", "node", r.c.Node, "channels", len(l.channels), "rtt", l.rtt)
	l.tend(func() {
		l.watch(r.c.KeepAlive, r.c.Patience, func() {
			r.held.expire()
			l.tend(func() { r.clean(l) }) // apart: a node that hangs must not keep watch from its probes
		})
	})
	return l, nil
}

// handshake connects and authenticates.
func (r *Remote) handshake(ctx context.Context, algos []string) (*link, error) {
	tcp, err := r.c.Dial(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = tcp.Close() })
	w := &wire{Conn: tcp}
	w.alive()
	var changed *keyChangedError
	introduced := false
	conn, channels, requests, err := ssh.NewClientConn(w, r.c.Address, &ssh.ClientConfig{
		Config:            ssh.Config{Ciphers: ciphers()},
		User:              r.c.User,
		Auth:              r.auth(),
		HostKeyAlgorithms: algos,
		HostKeyCallback:   pin(r.c.HostKey, &changed),
		AuthCallback: func(a *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
			introduced = true // the server had its say about who we are
			return nil, nil
		},
	})
	if !stop() {
		if err == nil {
			_ = conn.Close()
		}
		return nil, context.Cause(ctx)
	}
	var network net.Error
	switch {
	case err == nil:
		return newLink(w, conn, channels, requests), nil
	case changed != nil:
		return nil, changed
	case introduced && !errors.As(err, &network) && !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("user %q is not let in with the %s given: %w (%w)", r.c.User, r.credential(), cairn.ErrDenied, err)
	}
	return nil, err
}

func (r *Remote) auth() (methods []ssh.AuthMethod) {
	if r.c.Key != nil {
		methods = append(methods, ssh.PublicKeys(r.c.Key))
	}
	if r.c.Password != "" {
		methods = append(methods, ssh.Password(r.c.Password),
			// Many servers ask for the password this way only.
			ssh.KeyboardInteractive(func(_, _ string, questions []string, echos []bool) ([]string, error) {
				answers := make([]string, len(questions))
				for i := range questions {
					if !echos[i] {
						answers[i] = r.c.Password
					}
				}
				return answers, nil
			}))
	}
	return methods
}

func (r *Remote) credential() string {
	switch {
	case r.c.Key == nil:
		return "password"
	case r.c.Password == "":
		return "key " + ssh.FingerprintSHA256(r.c.Key.PublicKey())
	}
	return "key and password"
}

// ciphers puts aes128-gcm first: the fastest by far wherever the processor
// knows AES, and SSH's integrity check for free.
func ciphers() []string {
	all := ssh.SupportedAlgorithms().Ciphers
	const best = ssh.CipherAES128GCM
	all = slices.DeleteFunc(all, func(c string) bool { return c == best })
	return append([]string{best}, all...)
}

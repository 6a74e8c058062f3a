package sftp

import (
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/crypto/ssh"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// Host key algorithms by family. A server may have a key of each, and shows
// the one that its client asks for first.
func ed25519Algos() []string { return []string{ssh.KeyAlgoED25519} }
func ecdsaAlgos() []string {
	return []string{ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521}
}
func rsaAlgos() []string { return []string{ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512} }

func allAlgos() []string {
	return append(append(ed25519Algos(), ecdsaAlgos()...), rsaAlgos()...)
}

// keyChangedError is a server that shows another key than the pinned one.
type keyChangedError struct {
	pinned, shown string
}

func (e *keyChangedError) Error() string {
	return fmt.Sprintf("host key is %s, pinned is %s: ask the operator; if the server was set up anew, "+
		"pin the new key with node set --host-key, otherwise someone may stand between", e.shown, e.pinned)
}

func (e *keyChangedError) Unwrap() error { return cairn.ErrDenied }

// pin accepts the pinned key only. It reports a change through changed, since
// the handshake may wrap or lose what a callback returns.
func pin(fingerprint string, changed **keyChangedError) ssh.HostKeyCallback {
	return func(_ string, _ net.Addr, key ssh.PublicKey) error {
		if shown := ssh.FingerprintSHA256(key); shown != fingerprint {
			*changed = &keyChangedError{pinned: fingerprint, shown: shown}
			return *changed
		}
		return nil
	}
}

// Probe returns the fingerprint (SHA256:...) of the host key that the server
// at address (host or host:port) shows, for a person to compare. The server
// has proven that it holds the key. Nothing else is sent to it.
func Probe(ctx context.Context, address string) (fingerprint string, err error) {
	address = withPort(address)
	fail := func(err error) (string, error) {
		return "", &backends.Error{Op: backends.OpConnect, Node: address, Err: unavailable(err)}
	}
	tcp, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return fail(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = tcp.Close() })
	defer stop()
	enough := errors.New("seen enough")
	_, _, _, err = ssh.NewClientConn(tcp, address, &ssh.ClientConfig{
		HostKeyAlgorithms: allAlgos(),
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			fingerprint = ssh.FingerprintSHA256(key)
			return enough
		},
	})
	_ = tcp.Close() // the handshake never succeeds, so it is closed already
	switch {
	case fingerprint != "":
		return fingerprint, nil
	case ctx.Err() != nil:
		return fail(context.Cause(ctx))
	}
	return fail(err)
}

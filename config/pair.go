package config

import (
	"crypto/tls"
	"fmt"
	"os"

	"github.com/cairn-storage/cairn"
)

// ReadPair reads a TLS certificate, its issuers behind it, and its key, both
// PEM. The key is a secret, with the errors of ReadSecret; ErrInvalid when the
// files hold something else or do not belong together.
func ReadPair(cert, key string) (tls.Certificate, error) {
	chain, err := os.ReadFile(cert)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate: %w", classed(err))
	}
	secret, err := ReadSecret(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(chain, secret)
	if err != nil {
		return pair, fmt.Errorf("certificate %s with key %s: %w: %w", cert, key, err, cairn.ErrInvalid)
	}
	return pair, nil
}

package sftp_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"

	"golang.org/x/crypto/ssh"
)

// newRSA makes a key file of the kind that old servers have.
func newRSA() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(block), nil
}

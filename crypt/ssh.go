package crypt

import (
	"crypto/ed25519"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"
)

func sshRecipient(k ssh.PublicKey) (age.Recipient, error) { return agessh.NewEd25519Recipient(k) }

func sshIdentity(k ed25519.PrivateKey) (age.Identity, error) { return agessh.NewEd25519Identity(k) }

// Command age-plugin-cairntest is a plugin of age for tests: an X25519 key under
// another name. A recipient's data is age1..., an identity's a word and the age
// key. The word says how it behaves: "pin" asks for one, which is 1234; "touch"
// shows a message and asks for a yes; "plain" does neither. A recipient whose
// data begin with "hang " never answers, and one with "alone " does not go
// together with others.
package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/plugin"
)

const stanza = "cairntest"

func main() {
	p, err := plugin.New("cairntest")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	p.HandleRecipient(func(data []byte) (age.Recipient, error) {
		word, key, ok := strings.Cut(string(data), " ")
		if !ok {
			word, key = "", word
		}
		r, err := age.ParseX25519Recipient(key)
		return recipient{r, word}, err
	})
	p.HandleIdentity(func(data []byte) (age.Identity, error) {
		word, key, _ := strings.Cut(string(data), " ")
		id, err := age.ParseX25519Identity(key)
		return identity{p, word, id}, err
	})
	os.Exit(p.Main())
}

type recipient struct {
	*age.X25519Recipient
	word string
}

func (r recipient) Wrap(key []byte) ([]*age.Stanza, error) {
	if r.word == "hang" {
		var b [1]byte
		for { // until the other side closes
			if _, err := os.Stdin.Read(b[:]); err != nil {
				return nil, err
			}
		}
	}
	all, err := r.X25519Recipient.Wrap(key)
	for _, s := range all {
		s.Type = stanza
	}
	return all, err
}

func (r recipient) WrapWithLabels(key []byte) ([]*age.Stanza, []string, error) {
	all, err := r.Wrap(key)
	if r.word == "alone" {
		return all, []string{"alone"}, err
	}
	return all, nil, err
}

type identity struct {
	p    *plugin.Plugin
	word string
	id   *age.X25519Identity
}

func (i identity) Unwrap(all []*age.Stanza) ([]byte, error) {
	at := slices.IndexFunc(all, func(s *age.Stanza) bool { return s.Type == stanza })
	if at < 0 {
		return nil, age.ErrIncorrectIdentity
	}
	s := *all[at]
	s.Type = "X25519"
	key, err := i.id.Unwrap([]*age.Stanza{&s})
	if err != nil {
		return nil, err
	}
	switch i.word {
	case "pin":
		pin, err := i.p.RequestValue("PIN:", true)
		if err != nil {
			return nil, err
		}
		if pin != "1234" {
			return nil, errors.New("the PIN is wrong")
		}
	case "touch":
		if err := i.p.DisplayMessage("touch the key"); err != nil {
			return nil, err
		}
		if yes, err := i.p.Confirm("is it you?", "yes", "no"); err != nil || !yes {
			return nil, errors.Join(err, errors.New("it was not you"))
		}
	}
	return key, nil
}

package main

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/recovery"
)

// askForPlugins lets the plugins of age in an identity file ask a person, where
// one is there; what they have to say is shown in any case.
func (e *env) askForPlugins(ctx context.Context) recovery.Ask {
	nobody := fmt.Errorf("nobody can be asked: %w", cairn.ErrInvalid)
	return recovery.Ask{
		Message: func(plugin, text string) {
			e.endProgress()
			fmt.Fprintf(e.err, "age-plugin-%s: %s\n", plugin, plainText(text))
		},
		// What is no secret is not shown either: it is all the same to a person
		// who types it, and there is one way to ask.
		Value: func(plugin, prompt string, _ bool) (string, error) {
			if !e.person {
				return "", nobody
			}
			return e.askSecret(ctx, fmt.Sprintf("age-plugin-%s: %s ", plugin, plainText(prompt)))
		},
		Confirm: func(plugin, question, yes, no string) (bool, error) {
			if !e.person {
				return false, nobody
			}
			choice := plainText(yes)
			if no != "" {
				choice += ", or else " + plainText(no)
			}
			return e.ask(ctx, fmt.Sprintf("age-plugin-%s: %s (y for: %s)", plugin, plainText(question), choice)), nil
		},
	}
}

// plainText is text without what would move a terminal's cursor.
func plainText(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}

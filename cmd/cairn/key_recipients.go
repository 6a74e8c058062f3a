package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/config"
)

func keyRecipientsVerb() verb {
	return verb{
		name: "key recipients", args: "list | add KEY | remove KEY", short: "the owners, any one of whom recovers the store",
		usage: `
KEY is age1..., age1name1... of an age plugin, or an ssh-ed25519 line, or the name of
a file that holds one. The keys of the store are wrapped anew for those who are owners
then, on every node; for a plugin's the program age-plugin-name has to be in the PATH
of the gateway, then and at each later change.

What was wrapped for an owner before stays open to them: after remove, run
cairn key rotate, so that what is written from then on is not.`,
		try: `
cairn key recipients list
cairn key recipients add ~/.ssh/id_ed25519.pub`,
		run: runKeyRecipients,
	}
}

// ownersNow is what the verb prints with --json.
type ownersNow struct {
	Owners  []string `json:"owners"`
	Pending bool     `json:"pending"` // a change was begun that is not on enough nodes yet
	Nodes   int      `json:"nodes"`
	Kit     string   `json:"kit,omitempty"` // file that is rewritten by itself
}

// recipientChange is the argument of the verb; What is list, add or remove.
type recipientChange struct {
	What string `json:"what"`
	Key  string `json:"key,omitempty"`
}

func changeRecipients() operation[recipientChange, ownersNow] {
	return operation[recipientChange, ownersNow]{"key recipients", func(ctx context.Context, e *engine.Engine, a recipientChange, _ progress) (ownersNow, error) {
		var err error
		switch a.What {
		case "add":
			err = e.AddOwner(ctx, a.Key)
		case "remove":
			err = e.RemoveOwner(ctx, a.Key)
		}
		return ownersNow{e.Owners(), e.KeysPending(), e.FleetReport().Nodes, e.KitPath()}, err
	}}
}

func runKeyRecipients(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	rest, err := f.parse(args, 1, 4) // an ssh key typed without quotes is three words
	if err != nil {
		return err
	}
	c := recipientChange{What: rest[0], Key: strings.Join(rest[1:], " ")}
	switch {
	case c.What == "list" && c.Key == "":
	case (c.What == "add" || c.What == "remove") && c.Key != "":
		if c.Key, err = readRecipient(c.Key); err != nil {
			return err
		}
	default:
		return usageError(v, "write list, add KEY, or remove KEY")
	}
	out, err := changeRecipients().do(ctx, f, c)
	if err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	e.printf("%s", recipientsText(c, out))
	return nil
}

// readRecipient is text itself, or the key in the file of that name.
func readRecipient(text string) (string, error) {
	if strings.HasPrefix(text, "age1") || strings.HasPrefix(text, "ssh-") || strings.HasPrefix(text, "AGE-") {
		return text, nil
	}
	b, err := os.ReadFile(text)
	if err != nil {
		return "", fmt.Errorf("%q is neither age1... nor ssh-ed25519 ..., nor a file that can be read: %w", text, cairn.ErrInvalid)
	}
	if len(b) > config.MaxSecret {
		return "", fmt.Errorf("%s is no file with a public key: %w", text, cairn.ErrInvalid)
	}
	return strings.TrimSpace(string(b)), nil
}

func recipientsText(c recipientChange, out ownersNow) string {
	var b strings.Builder
	switch c.What {
	case "add":
		fmt.Fprintf(&b, "Added.  The keys of the store are wrapped for %s now, on enough of %s.\n", count(int64(len(out.Owners)), "owner"), count(int64(out.Nodes), "node"))
	case "remove":
		b.WriteString("Removed.  What is wrapped for them already stays open to them: files of keys and kits that\n" +
			"they have, and every pack of this epoch.  Next: cairn key rotate, so that what is written from\n" +
			"then on is not; and change the credentials of nodes that a kit of theirs holds.\n")
	}
	for _, o := range out.Owners {
		fmt.Fprintf(&b, "%s\n", o)
	}
	if out.Pending {
		b.WriteString("A change of owners or keys is not on enough nodes yet, and not in use: give the command again when they answer.\n")
	}
	if c.What != "list" {
		if out.Kit != "" {
			fmt.Fprintf(&b, "The recovery kit was rewritten: %s\n", out.Kit)
		} else {
			b.WriteString("Next: cairn key kit --out FILE, since the kit that owners have is for those before.\n")
		}
	}
	return b.String()
}

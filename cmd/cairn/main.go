// Command cairn is an S3 endpoint whose bytes live on storage that nobody has
// to trust.
//
// Reading order: main.go (signals) with core.go, run.go (which verb, which exit status),
// table.go (all verbs), env.go, passphrase.go and flags.go (what every verb
// has), help.go,
// settings.go (cairn.toml), operation.go (where a verb runs: in this process,
// or inside the gateway that has the store open) with soon.go (when neither
// answers) and progress.go (how far it is), then a file for each verb; text.go has the words for sizes and tables.
//
// It decides nothing about objects, packs or nodes: package engine below does.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"
)

func main() {
	noCore()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// The first signal asks; the second is the system's own and ends at once.
	context.AfterFunc(ctx, stop)
	status := run(ctx, &env{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		person:  term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd())),
		getenv:  os.Getenv,
		secret:  askTerminal,
		columns: func() int { width, _, _ := term.GetSize(int(os.Stderr.Fd())); return width },
		process: true, patience: 5 * time.Second, hung: 1600 * time.Millisecond,
	}, os.Args[1:])
	stop()
	os.Exit(status)
}

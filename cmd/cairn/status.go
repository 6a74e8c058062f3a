package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

func statusVerb() verb {
	return verb{
		name: "status", short: "how the store and its nodes are, and what to do about it",
		usage: `
  --check           exit status 0 OK, 1 DEGRADED or LOCAL or no gateway runs, 2 AT RISK,
                    3 LOST, for monitoring
  --without NAMES   what would stay readable and writable if these nodes, or all nodes of
                    these operators, were gone: names with commas between

It answers within two seconds, also when nodes or this machine's disk hang.`,
		try: `
cairn status --check --json
cairn status --without carol,dora`,
		run: runStatus,
	}
}

type none struct{}

func statusOf() operation[none, engine.Status] {
	return operation[none, engine.Status]{"status", func(ctx context.Context, e *engine.Engine, _ none, _ progress) (engine.Status, error) {
		e.LookAtStart(ctx)
		return e.Status(ctx)
	}}
}

func runStatus(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	check := f.Bool("check", false, "")
	without := f.String("without", "", "")
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	if f.given("without") {
		if *check {
			return usageError(v, "--check and --without exclude each other")
		}
		return runWithout(ctx, f, strings.Split(*without, ","))
	}
	s, late, err := statusOf().soon(ctx, f, none{})
	if err != nil {
		return err
	}
	serving := false
	if late != nil {
		s, serving = late.Status(), late.By == engine.Gateway
	} else {
		serving = f.inGateway
	}
	if f.json {
		err = e.json(struct {
			engine.Status
			Serving bool `json:"serving"`
		}{s, serving})
	} else {
		e.printf("%s", statusText(s, serving))
	}
	if err == nil && *check {
		return checked(s.State, serving)
	}
	return err
}

// checked is the exit status of a state, which its output told already.
func checked(state string, serving bool) error {
	switch state {
	case engine.Lost:
		return saidStatus(3)
	case engine.AtRisk:
		return saidStatus(2)
	case engine.Whole:
		if serving {
			return nil
		}
	}
	return saidStatus(1)
}

// names are the arguments of a verb about several nodes.
type names struct {
	Names []string `json:"names"`
}

func statusWithout() operation[names, engine.Without] {
	return operation[names, engine.Without]{"status without", func(ctx context.Context, e *engine.Engine, a names, _ progress) (engine.Without, error) {
		e.LookAtStart(ctx)
		return e.Without(ctx, a.Names)
	}}
}

func runWithout(ctx context.Context, f *flags, of []string) error {
	for i := range of {
		of[i] = strings.TrimSpace(of[i])
	}
	out, late, err := statusWithout().soon(ctx, f, names{of})
	if err != nil {
		return err
	}
	if late != nil {
		return fmt.Errorf("%s does not answer for %s now: what would stay readable is not known: %w", late.What, ago(late.Took.Seconds()), cairn.ErrUnavailable)
	}
	if f.json {
		return f.e.json(out)
	}
	f.e.printf("%s", withoutText(out))
	return nil
}

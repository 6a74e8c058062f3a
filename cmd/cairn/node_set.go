package main

import (
	"context"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

func nodeSetVerb() verb {
	return verb{
		name: "node set", args: "NAME", short: "change what is known of a node",
		usage: `
  --rename NEW           another name
  --operator WHO --site PLACE --capacity SIZE
  --state ok|paused|draining|gone
                         paused takes no new shards, those there stay; draining: they move
                         away too; gone: given up, what it holds is made again elsewhere
  --traffic SIZE         what background work may move to and from it a month, such as 300G
  --hours TIMES          when background work may use it, such as 22:00-07:00
  --wipe-proof WORDS     what keeps a stolen gateway from wiping it: snapshots, lock 7 d.
                         An empty word takes any of these three away
  --remote REMOTE --host-key SHA256:... --key-file FILE --password-file FILE
                         tried first: nothing changes unless they lead to this node
  --own-key              log in with the gateway's own key again`,
		try: `cairn node set carol --capacity 1.2T --site fsn1`,
		run: runNodeSet,
	}
}

// nodeChange is the argument of node set.
type nodeChange struct {
	Name   string            `json:"name"`
	Change engine.NodeChange `json:"change"`
}

func setNode() operation[nodeChange, engine.NodeState] {
	return operation[nodeChange, engine.NodeState]{"node set", func(ctx context.Context, e *engine.Engine, a nodeChange, _ progress) (engine.NodeState, error) {
		n, err := e.SetNode(ctx, a.Name, a.Change)
		if err != nil {
			return engine.NodeState{}, err
		}
		for _, s := range e.Nodes() {
			if s.Name == n.Name {
				return s, nil
			}
		}
		return engine.NodeState{Name: n.Name, Operator: n.Operator, Site: n.Site, Remote: n.Remote, State: n.State}, nil
	}}
}

func runNodeSet(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	var capacity size
	rename := f.String("rename", "", "")
	operator := f.String("operator", "", "")
	site := f.String("site", "", "")
	state := f.String("state", "", "")
	remote := f.String("remote", "", "")
	hostKey := f.String("host-key", "", "")
	keyFile := f.String("key-file", "", "")
	passwordFile := f.String("password-file", "", "")
	ownKey := f.Bool("own-key", false, "")
	traffic := f.String("traffic", "", "")
	hours := f.String("hours", "", "")
	wipeProof := f.String("wipe-proof", "", "")
	f.Var(&capacity, "capacity", "")
	rest, err := f.parse(args, 1, 1)
	if err != nil {
		return err
	}
	c := engine.NodeChange{Name: text(f, "rename", rename), Operator: text(f, "operator", operator), Site: text(f, "site", site),
		State: text(f, "state", state), Remote: text(f, "remote", remote), HostKey: text(f, "host-key", hostKey),
		Traffic: text(f, "traffic", traffic), Hours: text(f, "hours", hours), WipeProof: text(f, "wipe-proof", wipeProof)}
	bytes := uint64(capacity)
	c.Capacity = text(f, "capacity", &bytes)
	if *keyFile != "" || *passwordFile != "" || *ownKey {
		login, err := readLogin(e, *keyFile, *passwordFile)
		if err != nil {
			return err
		}
		if *ownKey && login != (engine.Login{}) {
			return usageError(v, "--own-key and --key-file or --password-file exclude each other")
		}
		c.Key, c.Password = &login.Key, &login.Password
	}
	if c == (engine.NodeChange{}) {
		return usageError(v, "nothing to change was given")
	}
	out, err := setNode().do(ctx, f, nodeChange{rest[0], c})
	if err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	e.printf("%s", nodesTable([]engine.NodeState{out}))
	return nil
}

package main

import (
	"context"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

func nodeListVerb() verb {
	return verb{
		name: "node list", short: "the nodes, as they are now",
		try: `cairn node list --json`,
		run: runNodeList,
	}
}

// nodeList is what the verb prints with --json.
type nodeList struct {
	Nodes         []engine.NodeState `json:"nodes"`
	AuthorizedKey string             `json:"authorized_key"` // lets the gateway in to an SFTP node
}

func listNodes() operation[none, nodeList] {
	return operation[none, nodeList]{"node list", func(ctx context.Context, e *engine.Engine, _ none, _ func(string)) (nodeList, error) {
		e.Look(ctx)
		return nodeList{e.Nodes(), e.AuthorizedKey()}, nil
	}}
}

func runNodeList(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	out, err := listNodes().do(ctx, f, none{})
	if err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	rows := [][]string{{"NODE", "OPERATOR", "SITE", "STATE", "WHY", "USED", "FREE", "REMOTE"}}
	for _, n := range out.Nodes {
		free := "-"
		if n.Known {
			free = bytesText(n.Free)
		}
		rows = append(rows, []string{n.Name, n.Operator, orDash(n.Site), n.State, n.Why, bytesText(n.Used), free, n.Remote})
	}
	if len(out.Nodes) == 0 {
		e.printf("no nodes yet: objects live on this disk only.  Next: cairn node add\n")
	} else {
		e.printf("%s", columns(rows))
	}
	e.printf("the gateway's own key, for authorized_keys of SFTP nodes:\n  %s\n", out.AuthorizedKey)
	return nil
}

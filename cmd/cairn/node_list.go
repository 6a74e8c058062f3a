package main

import (
	"context"
	"strings"

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
	// AuthorizedKeys are that line and those of the owners, who recover the
	// store from any node that admits them.
	AuthorizedKeys []string `json:"authorized_keys"`
}

func listNodes() operation[none, nodeList] {
	return operation[none, nodeList]{"node list", func(ctx context.Context, e *engine.Engine, _ none, _ progress) (nodeList, error) {
		e.Look(ctx)
		keys := e.AuthorizedKeys()
		return nodeList{e.Nodes(), keys[0], keys}, nil
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
	e.printf("%s", authorizedText(out.AuthorizedKeys))
	return nil
}

// authorizedText is what an SFTP node's authorized_keys is to hold.
func authorizedText(keys []string) string {
	text := "For authorized_keys of SFTP nodes: the gateway's own key"
	if len(keys) > 1 {
		text += ", and the owners', who recover the store from any node that admits them"
	}
	return text + "\n  " + strings.Join(keys, "\n  ") + "\n"
}

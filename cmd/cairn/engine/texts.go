package engine

import (
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// readme is for the person who owns a node and wonders what this directory is.
func readme(store cairn.StoreID, n pack.Node) []byte {
	return fmt.Appendf(nil, `This directory is node "%s" of the cairn store %s.

The files below %s/ are encrypted. Nobody can read them from here, and whoever
changes one is noticed. They belong to a store that keeps the same data on
other nodes too, so that it survives when this one is away for a while.

Please do not rename, move or edit anything here. Files may be copied away as
they are: put back under the same names they count again. To stop lending this
space, write the word "leave" into %s here, and give the gateway some
time to move its data away. Deleting everything at once loses nothing for
others as long as few enough nodes do so, but please say so before.

%s tells how this node was doing when the gateway last looked.
https://github.com/cairn-storage/cairn
`, n.Name, store.Short(), layout.PacksDir, layout.OperatorName, layout.StatusName)
}

// statusText is for the same person. seen is what the fleet knows, nil for a
// node that was just added.
func statusText(n pack.Node, seen *NodeState) []byte {
	now := time.Now().UTC().Format("2006-01-02 15:04 MST")
	if seen == nil {
		return fmt.Appendf(nil, "%s: node %s was added to the store; it keeps what cairn asks for.\n", now, n.Name)
	}
	line := "%s: node %s: %s"
	if seen.Why != "" {
		return fmt.Appendf(nil, line+" (%s)\n", now, n.Name, seen.State, seen.Why)
	}
	return fmt.Appendf(nil, line+"\n", now, n.Name, seen.State)
}

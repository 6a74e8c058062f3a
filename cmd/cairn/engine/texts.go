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
changes one is noticed. They belong to a store that keeps its data on several
nodes, so that it survives when this one is away for a while.

Please do not rename, move or edit anything here. If this disk is replaced, copy
the whole directory: under the same names everything counts again. If you want
to stop lending this space, tell the person who runs the store before you delete
anything, so that what lies here can be moved first.

%s tells how this node was doing when the store last looked.
https://github.com/cairn-storage/cairn
`, n.Name, store.Short(), layout.PacksDir, layout.StatusName)
}

// statusText is for the same person: one line with the time.
func statusText(n pack.Node, said string) []byte {
	return fmt.Appendf(nil, "%s: node %s %s\n", time.Now().UTC().Format("2006-01-02 15:04 MST"), n.Name, said)
}

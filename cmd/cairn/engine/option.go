package engine

import (
	"maps"

	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/pack"
)

// The options of a node that are cairn's own; all others are of its backend.
const (
	optionTraffic   = fleet.OptionTraffic // bytes a month that background work may move
	optionHours     = fleet.OptionHours   // times of day of the same
	optionWipeProof = "wipe-proof"        // what keeps a stolen gateway from wiping it, in words
)

// backendOptions are the options of n for its backend.
func backendOptions(n pack.Node) map[string]string {
	out := maps.Clone(n.Option)
	for _, own := range []string{optionTraffic, optionHours, optionWipeProof} {
		delete(out, own)
	}
	return out
}

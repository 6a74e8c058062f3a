// Package layout decides WHERE things lie: which file of a node holds a shard,
// which nodes take the shards of a pack, and which coding a fleet can carry.
//
// Reading order: path.go (shards and their directories), files.go (the few
// other files of a node), marker.go (the file that says whose a directory is),
// place.go (which nodes), coding.go (which k+m), space.go (how much fits),
// nines.go (how safe that is).
//
// The package is pure: it does no I/O, starts no goroutines, has no clock and
// no log, and draws chance only from the generator it is given. It refuses to
// know what a shard holds, how a node is reached and whether it is well: a
// Candidate comes with a weight, and that is all that is believed of it.
package layout

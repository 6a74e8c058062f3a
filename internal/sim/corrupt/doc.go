// Package corrupt takes small real stores, alters the bytes of one file at a
// time (or of as many as may be lost, and of more), and reads everything back:
// each object must be exact or an error of a class, the bytes that were needed
// and altered must be noticed, and nothing may panic.
//
// A case is a number. The number fixes the family, the file, the byte class,
// the place and the kind of change, so that `-case family:number` runs one
// again.
//
// Reading order: run_test.go (families, cases, figures), change_test.go (what
// is done to a file), world_test.go (the store and its nodes), make_test.go
// (what stands in it), read_test.go (what must be); then one file per family:
// node_test.go, nodes_test.go, stage_test.go, index_test.go, cache_test.go, state_test.go,
// secrets_test.go.
package corrupt

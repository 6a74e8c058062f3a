module github.com/cairn-storage/cairn/bench

go 1.26.0

require github.com/cairn-storage/cairn/integration v0.0.0

replace github.com/cairn-storage/cairn/integration => ../integration

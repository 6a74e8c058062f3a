module github.com/cairn-storage/cairn/integration

go 1.26.0

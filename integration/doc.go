// Package integration drives the built program as a person would: it starts
// `cairn demo` as a process, talks S3 to it with real clients and with a small
// one of its own, kills it and its nodes, and looks at what lies on the nodes.
//
// Reading order: sign.go and client.go (S3 in 200 lines), ask.go, chunked.go,
// sums.go and multipart.go (requests made by hand, right and wrong), tool.go
// (other people's clients), secure.go (certificates), demo.go (a running demo
// and its commands), status.go (what the admin endpoint tells), load.go (the
// attic-shaped load), model.go (what must be readable after a crash).
// The tests say what is promised; they need CAIRN_BIN, CAIRN_VENV for the
// Python clients and CAIRN_RCLONE for rclone.
//
// It imports nothing of the main module: only what a user could see counts.
package integration

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cairn-storage/cairn/integration"
)

// life is a gateway and its nodes, each a process.
type life struct {
	program, config string
	gateway, server *exec.Cmd
	input           io.WriteCloser // of the nodes
	answers         *bufio.Reader
	nodes           []lifeNode
	capacity        string // of each node: such that they are more than half full
	objects         integration.Objects
	client          *integration.Client
}

type lifeNode struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	HostKey string `json:"host_key"`
}

func newLife(ctx context.Context, dir, at, program string, objects int, rtt time.Duration) (l *life, err error) {
	l = &life{program: program, config: filepath.Join(dir, "cairn.toml"), objects: integration.Objects{Seed: 6}, capacity: fmt.Sprint(14*objects/1000+64, "M")}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.stop())
		}
	}()
	text := fmt.Sprintf("dir = %q\ns3.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\"\ncache.limit = \"0B\"\nstore.coding = \"4+3\"\nstage.settle = \"1s\"\nscrub.listing = \"30d\"\n", filepath.Join(dir, "state"))
	if err := os.WriteFile(l.config, []byte(text), 0o600); err != nil {
		return l, err
	}
	if _, err := l.run(ctx, "init"); err != nil {
		return l, err
	}
	var list struct {
		Key string `json:"authorized_key"`
	}
	if err := l.json(ctx, &list, "node", "list"); err != nil {
		return l, err
	}
	if err := l.startNodes(ctx, dir, at, rtt, list.Key); err != nil {
		return l, err
	}
	return l, l.startGateway(ctx)
}

func (l *life) startNodes(ctx context.Context, dir, at string, rtt time.Duration, key string) error {
	program := filepath.Join(dir, "nodes")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./nodes")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build nodes (run this in bench/): %w", err)
	}
	cmd := child(ctx, program, at, rtt.String(), "alice", "bob", "carol", "dora", "erik", "fay", "gina", "hugo")
	var err error
	if l.input, err = cmd.StdinPipe(); err != nil {
		return err
	}
	o, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	l.server, l.answers = cmd, bufio.NewReader(o)
	if _, err := fmt.Fprintln(l.input, key); err != nil {
		return err
	}
	return l.answer(&l.nodes)
}

// answer is the next line of the nodes.
func (l *life) answer(to any) error {
	line, err := l.answers.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("nodes: %w", err)
	}
	return json.Unmarshal(line, to)
}

func (l *life) startGateway(ctx context.Context) error {
	cmd := child(ctx, l.program, "serve", "--json", "--log", "error", "--config", l.config)
	o, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	l.gateway = cmd
	line, err := bufio.NewReader(o).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	var s struct {
		Endpoint string `json:"endpoint"`
	}
	if err := json.Unmarshal(line, &s); err != nil {
		return err
	}
	for _, n := range l.nodes[:7] {
		if err := l.add(ctx, n); err != nil {
			return err
		}
	}
	if _, err := l.run(ctx, "bucket", "create", "cache"); err != nil {
		return err
	}
	var key struct{ ID, Secret string }
	if err := l.json(ctx, &key, "access", "create", "--write", "cache", "--name", "bench"); err != nil {
		return err
	}
	l.client = integration.NewClient(s.Endpoint, "cache", integration.Keys{Access: key.ID, Secret: key.Secret, Region: region}, 2*loadWidth)
	return nil
}

// fill puts objects, deletes every other one of the first half, and waits until
// the nodes have them.
func (l *life) fill(ctx context.Context, objects int) error {
	_, errs := integration.Each(ctx, objects, 16, func(ctx context.Context, i int) error { return l.client.Put(ctx, l.objects.Key(i), l.objects.Body(i)) })
	if len(errs) > 0 {
		return errs[0]
	}
	_, errs = integration.Each(ctx, objects/4, 16, func(ctx context.Context, i int) error { return l.client.Delete(ctx, l.objects.Key(2*i)) })
	if len(errs) > 0 {
		return errs[0]
	}
	if _, err := l.run(ctx, "flush"); err != nil {
		return err
	}
	for {
		var s struct {
			Staged int64 `json:"staged"`
		}
		if err := l.json(ctx, &s, "status"); err != nil {
			return err
		}
		if s.Staged <= 1 {
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *life) add(ctx context.Context, n lifeNode) error {
	_, err := l.run(ctx, "node", "add", "sftp://cairn@"+n.Address+"/", "--name", n.Name, "--host-key", n.HostKey, "--capacity", l.capacity, "--no-checks")
	return err
}

func (l *life) wipe(name string) error {
	if _, err := fmt.Fprintln(l.input, "wipe", name); err != nil {
		return err
	}
	var said string
	return l.answer(&said)
}

// verb is a verb of the program, whose last line is what it came to.
func (l *life) verb(args ...string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		text, err := l.run(ctx, args...)
		lines := strings.Split(strings.TrimSpace(text), "\n")
		return lines[len(lines)-1], err
	}
}

func (l *life) run(ctx context.Context, args ...string) (string, error) {
	cmd := child(ctx, l.program, append(args, "--config", l.config)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("cairn %s: %w\n%s%s", strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String(), nil
}

func (l *life) json(ctx context.Context, to any, args ...string) error {
	text, err := l.run(ctx, append(args, "--json")...)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), to)
}

// stop ends both processes; nothing of them is kept.
func (l *life) stop() error {
	for _, cmd := range []*exec.Cmd{l.gateway, l.server} {
		if cmd != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // it was killed
		}
	}
	return nil
}

// child dies with this process.
func child(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	return cmd
}

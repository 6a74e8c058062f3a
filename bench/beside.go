package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/cairn-storage/cairn/integration"
)

const region = "us-east-1"

// rounds is how often each peer is measured, in turn; the median counts.
const rounds = 3

// peer is a server that S3 requests are sent to.
type peer struct {
	name  string
	start func(ctx context.Context, dir string) (*server, error)
}

type server struct {
	cmd    *exec.Cmd
	input  io.Closer // ends the server
	client *integration.Client
}

func (s *server) stop() error {
	s.client.Close()
	if s.input != nil {
		_ = s.input.Close() // it ends by itself then
		return s.cmd.Wait()
	}
	_ = s.cmd.Process.Kill() // nothing of it is kept
	_ = s.cmd.Wait()
	return nil
}

// besideFigure compares what one small request costs each server.
type besideFigure struct {
	What  string             `json:"what"`
	Ops   int                `json:"ops"`
	Width int                `json:"width"`
	CPU   map[string]float64 `json:"cpu_us_per_op"`
	Ratio float64            `json:"cairn_to_rclone"`
}

// beside measures cairn over nodes in memory beside rclone's S3 server over
// memory: attic's sizes, in turn, each of the rounds on a fresh server.
func beside(ctx context.Context, rclone string, objects, width int, out *json.Encoder) error {
	dir, err := os.MkdirTemp("", "cairn-beside-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "memserver")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./memserver")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build memserver (run this in bench/): %w", err)
	}
	peers := []peer{{"cairn", cairnPeer(program)}, {"rclone", rclonePeer(rclone)}}
	costs := map[string]map[string][]float64{"put": {}, "get": {}}
	for round := range rounds {
		for _, p := range peers {
			d := filepath.Join(dir, fmt.Sprint(p.name, round))
			if err := os.Mkdir(d, 0o700); err != nil {
				return err
			}
			put, get, err := cost(ctx, p, d, objects, width)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			costs["put"][p.name] = append(costs["put"][p.name], put)
			costs["get"][p.name] = append(costs["get"][p.name], get)
		}
	}
	for _, what := range []string{"put", "get"} {
		f := besideFigure{What: "CPU of a small " + what, Ops: objects, Width: width, CPU: map[string]float64{}}
		for name, all := range costs[what] {
			slices.Sort(all)
			f.CPU[name] = all[len(all)/2]
		}
		f.Ratio = f.CPU["cairn"] / f.CPU["rclone"]
		if err := out.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// cost is the CPU of the server for each PUT and each GET, microseconds.
func cost(ctx context.Context, p peer, dir string, objects, width int) (put, get float64, err error) {
	s, err := p.start(ctx, dir)
	if err != nil {
		return 0, 0, err
	}
	defer func() {
		if serr := s.stop(); err == nil {
			err = serr
		}
	}()
	o := integration.Objects{Seed: 7}
	pass := func(do func(ctx context.Context, i int) error) (float64, error) {
		before := cpuSeconds(s.cmd.Process.Pid)
		_, errs := integration.Each(ctx, objects, width, do)
		if len(errs) > 0 {
			return 0, fmt.Errorf("%d of %d failed, the first: %w", len(errs), objects, errs[0])
		}
		return (cpuSeconds(s.cmd.Process.Pid) - before) * 1e6 / float64(objects), nil
	}
	if put, err = pass(func(ctx context.Context, i int) error { return s.client.Put(ctx, o.Key(i), o.Body(i)) }); err != nil {
		return 0, 0, fmt.Errorf("put: %w", err)
	}
	if get, err = pass(func(ctx context.Context, i int) error { return o.Check(ctx, s.client, i) }); err != nil {
		return 0, 0, fmt.Errorf("get: %w", err)
	}
	return put, get, nil
}

func cairnPeer(program string) func(context.Context, string) (*server, error) {
	return func(ctx context.Context, dir string) (*server, error) {
		cmd := exec.CommandContext(ctx, program, dir)
		cmd.Stderr = os.Stderr
		input, err := cmd.StdinPipe()
		if err != nil {
			return nil, err
		}
		output, err := cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		var said struct{ Endpoint, Bucket, ID, Secret string }
		line, err := bufio.NewReader(output).ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, &said)
		}
		if err != nil {
			_ = input.Close()
			return nil, fmt.Errorf("%w; %w", err, cmd.Wait())
		}
		return &server{cmd, input, integration.NewClient(said.Endpoint, said.Bucket, integration.Keys{Access: said.ID, Secret: said.Secret, Region: region}, 64)}, nil
	}
}

func rclonePeer(program string) func(context.Context, string) (*server, error) {
	return func(ctx context.Context, dir string) (*server, error) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		addr := ln.Addr().String()
		if err := ln.Close(); err != nil {
			return nil, err
		}
		var said bytes.Buffer
		cmd := exec.CommandContext(ctx, program, "serve", "s3", ":memory:", "--addr", addr, "--auth-key", "bench,benchbench", "--config", filepath.Join(dir, "none"))
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		s := &server{cmd, nil, integration.NewClient("http://"+addr, "bench", integration.Keys{Access: "bench", Secret: "benchbench", Region: region}, 64)}
		for range 100 {
			if err = createBucket(ctx, s.client); err == nil {
				return s, nil
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		}
		_ = s.stop()
		return nil, fmt.Errorf("%w: %s", err, said.Bytes())
	}
}

// createBucket makes the client's bucket.
func createBucket(ctx context.Context, c *integration.Client) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, c.Endpoint+"/"+c.Bucket, nil)
	if err != nil {
		return err
	}
	empty := sha256.Sum256(nil)
	c.Keys.Sign(r, hex.EncodeToString(empty[:]), time.Now())
	answer, err := c.HTTP.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("create bucket: HTTP %d", answer.StatusCode)
	}
	return nil
}

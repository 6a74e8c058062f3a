package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Info is the first line that `cairn demo --json` prints, once it is ready.
type Info struct {
	Endpoint  string `json:"endpoint"`
	Region    string `json:"region"`
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
	Bucket    string `json:"bucket"`
	Admin     string `json:"admin"`
	Dir       string `json:"dir"`
	Nodes     []Node `json:"nodes"`
}

// Node is one of the seven SFTP nodes of a demo.
type Node struct {
	Name     string `json:"name"`
	Operator string `json:"operator"`
	Address  string `json:"address"`
	Dir      string `json:"dir"`
}

// Demo is a running `cairn demo --json`.
type Demo struct {
	Info
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	answers chan []byte // lines of stdout, closed at its end
	stderr  *tail
	ended   chan struct{} // closed when the process was waited for
	exit    error         // readable after ended
}

// readyIn is how long a demo may take until it prints its first line; a cold
// start with -race on a loaded machine takes a few seconds.
const readyIn = 90 * time.Second

// StartDemo starts the program's demo and waits until it is ready; the
// benchmarks use it too.
func StartDemo(ctx context.Context, program string, args ...string) (*Demo, error) {
	return startDemo(ctx, exec.Command(program, append([]string{"demo", "--json"}, args...)...))
}

// startDemo starts a `cairn demo --json` and waits until it is ready.
func startDemo(ctx context.Context, cmd *exec.Cmd) (*Demo, error) {
	d := &Demo{cmd: cmd, answers: make(chan []byte, 16), stderr: &tail{}, ended: make(chan struct{})}
	cmd.Stderr = d.stderr
	// Should the tests be killed, the demo does not stay behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 10 * time.Second // for what the demo itself may have started
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	d.stdin = stdin
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go d.read(stdout)
	ctx, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	line, err := d.next(ctx)
	if err == nil {
		if err = json.Unmarshal(line, &d.Info); err != nil {
			err = fmt.Errorf("first line %q: %w", line, err)
		} else if d.Endpoint == "" || d.AccessKey == "" || d.SecretKey == "" || d.Bucket == "" {
			err = fmt.Errorf("first line %q: endpoint, keys or bucket are missing", line)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("demo does not get ready: %w", errors.Join(err, d.Kill()))
	}
	return d, nil
}

// read owns the process from its start to its end.
func (d *Demo) read(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		d.answers <- bytes.Clone(lines.Bytes())
	}
	close(d.answers)
	d.exit = d.cmd.Wait()
	close(d.ended)
}

func (d *Demo) next(ctx context.Context) ([]byte, error) {
	select {
	case line, ok := <-d.answers:
		if !ok {
			return nil, fmt.Errorf("the demo ended; it said:\n%s", d.stderr)
		}
		return line, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("no answer: %w; the demo said:\n%s", ctx.Err(), d.stderr)
	}
}

// Answer is the JSON object that answers one command.
type Answer map[string]any

// Do writes one command and returns its answer; an answer with an "error" is
// an error.
func (d *Demo) Do(ctx context.Context, format string, args ...any) (Answer, error) {
	command := fmt.Sprintf(format, args...)
	if _, err := io.WriteString(d.stdin, command+"\n"); err != nil {
		return nil, fmt.Errorf("demo> %s: %w; it said:\n%s", command, err, d.stderr)
	}
	line, err := d.next(ctx)
	if err != nil {
		return nil, fmt.Errorf("demo> %s: %w", command, err)
	}
	var a Answer
	if err := json.Unmarshal(line, &a); err != nil {
		return nil, fmt.Errorf("demo> %s: answered %q: %w", command, line, err)
	}
	if text, ok := a["error"].(string); ok && text != "" {
		return a, fmt.Errorf("demo> %s: %s", command, text)
	}
	return a, nil
}

// Client is an S3 client of the demo's bucket with its keys.
func (d *Demo) Client(width int) *Client {
	return NewClient(d.Endpoint, d.Bucket, Keys{d.AccessKey, d.SecretKey, d.Region}, width)
}

// PID is the process id.
func (d *Demo) PID() int { return d.cmd.Process.Pid }

// Kill is kill -9: it returns when the process is gone.
func (d *Demo) Kill() error {
	if err := d.cmd.Process.Kill(); err != nil && !d.gone() {
		return err
	}
	d.drain()
	return nil
}

// Stop is SIGTERM; it returns an error unless the process ends by itself with
// status 0 within the time of ctx.
func (d *Demo) Stop(ctx context.Context) error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return errors.Join(err, d.Kill())
	}
	defer d.drain()
	for {
		select {
		case _, ok := <-d.answers:
			if ok {
				continue // a last word of the demo
			}
			<-d.ended
			if d.exit != nil {
				return fmt.Errorf("demo after SIGTERM: %w; it said:\n%s", d.exit, d.stderr)
			}
			return nil
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("demo does not end after SIGTERM: %w; it said:\n%s", ctx.Err(), d.stderr), d.cmd.Process.Kill())
		}
	}
}

func (d *Demo) gone() bool {
	select {
	case <-d.ended:
		return true
	default:
		return false
	}
}

// drain lets read come to its end, whatever the demo still printed.
func (d *Demo) drain() {
	for range d.answers {
	}
	<-d.ended
}

// Stderr is the end of what the demo printed there.
func (d *Demo) Stderr() string { return d.stderr.String() }

// tail keeps the last few lines written to it.
type tail struct {
	mu   sync.Mutex
	text []byte // guarded by mu
}

const tailBytes = 16 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if extra := len(t.text) - tailBytes; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}

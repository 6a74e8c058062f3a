package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/cairn-storage/cairn/cmd/cairn/spoken"
)

// head is what every answer has.
type head struct {
	OK      bool   `json:"ok"`
	Command string `json:"command"`
	Error   string `json:"error,omitempty"`
}

func (h *head) top() *head { return h }

// reply is the answer to one command: JSON by its fields, and as text.
type reply interface {
	top() *head
	text() string
}

// ready is the first line with JSON.
type ready struct {
	Endpoint  string      `json:"endpoint"`
	Region    string      `json:"region"`
	AccessKey string      `json:"access_key"`
	SecretKey string      `json:"secret_key"`
	Bucket    string      `json:"bucket"`
	Admin     string      `json:"admin"`
	Dir       string      `json:"dir"`
	Nodes     []readyNode `json:"nodes"`
	Seconds   float64     `json:"ready_seconds"`
}

type readyNode struct {
	Name     string `json:"name"`
	Operator string `json:"operator"`
	Address  string `json:"address"` // host:port
	Dir      string `json:"dir"`
}

// talk says that the demo is ready and answers commands until quit, the end of
// ctx, or, for people, the end of In.
func (d *demo) talk(ctx, life context.Context) error {
	took := time.Since(d.started)
	if err := d.greet(took); err != nil {
		return err
	}
	d.log.Info("ready", "endpoint", d.endpoint(), "took", took)
	lines := d.lines(ctx)
	for {
		if d.c.Terminal {
			fmt.Fprint(d.c.Out, "demo> ")
		}
		select {
		case <-ctx.Done():
			if d.c.Terminal {
				fmt.Fprintln(d.c.Out) // the prompt stands there
			}
			return nil
		case line, ok := <-lines:
			switch {
			case ok:
			case d.c.JSON:
				lines = nil // a demo in the background runs on
				continue
			default:
				return nil
			}
			for _, text := range spoken.Split(line) {
				over, err := d.answer(ctx, life, text)
				if err != nil || over {
					return err
				}
			}
		}
	}
}

// lines gives the lines of In; the channel is closed at its end. A read that
// nothing ends, as of a terminal, is left to the end of the process.
func (d *demo) lines(ctx context.Context) <-chan string {
	out := make(chan string)
	go func() {
		defer close(out)
		in := bufio.NewScanner(d.c.In)
		for in.Scan() {
			select {
			case out <- in.Text():
			case <-ctx.Done():
				return
			}
		}
		if err := in.Err(); err != nil {
			d.log.Warn("commands", "err", err)
		}
	}()
	return out
}

// answer carries one command out and says what came of it; over is true after
// quit and when ctx ended meanwhile. An error means that nobody listens.
func (d *demo) answer(ctx, life context.Context, text string) (over bool, err error) {
	var r reply
	c, failed := spoken.Parse(text, len(d.nodes))
	if failed == nil {
		r, failed = d.do(ctx, life, c)
	}
	if r == nil {
		r = &said{}
	}
	h := r.top()
	h.OK, h.Command = failed == nil, text
	if failed != nil {
		h.Error = oneLine(failed)
	}
	switch {
	case d.c.JSON:
		err = json.NewEncoder(d.c.Out).Encode(r)
	default:
		if !d.c.Terminal {
			fmt.Fprintf(d.c.Out, "demo> %s\n", text)
		}
		err = show(d.c.Out, r)
	}
	return c.Verb == "quit" && failed == nil || ctx.Err() != nil, err
}

func show(w io.Writer, r reply) error {
	text := r.text()
	if e := r.top().Error; e != "" {
		if text != "" {
			text += "\n"
		}
		text += e
	}
	_, err := fmt.Fprintln(w, indent(text))
	return err
}

func (d *demo) greet(took time.Duration) error {
	if !d.c.JSON {
		_, err := io.WriteString(d.c.Out, d.greeting(took))
		return err
	}
	r := ready{d.endpoint(), region, d.keys.id, d.keys.secret, bucket, d.adminURL(), d.dir, nil, took.Seconds()}
	for _, n := range d.nodes {
		r.Nodes = append(r.Nodes, readyNode{n.name, n.name, n.address, n.dir})
	}
	return json.NewEncoder(d.c.Out).Encode(r)
}

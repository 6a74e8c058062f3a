package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/store"
)

func locateVerb() verb {
	return verb{
		name: "locate", args: "BUCKET/KEY", short: "where the bytes of an object lie",
		try: `cairn locate cache/4f/nar/1q2w3e.nar.zst`,
		run: runLocate,
	}
}

// located is an object and the packs that hold it.
type located struct {
	Key      string    `json:"key"`
	Size     int64     `json:"bytes"`
	ETag     string    `json:"etag"`
	Modified time.Time `json:"modified"`
	Packs    []inPack  `json:"packs"`
}

// inPack is what one pack holds of an object.
type inPack struct {
	Pack   string    `json:"pack"`
	Kind   string    `json:"kind"`
	State  string    `json:"state"`
	Coding string    `json:"coding,omitempty"`
	Bytes  int64     `json:"bytes"` // of the object
	Shards []inShard `json:"shards"`
}

// inShard is one shard of such a pack.
type inShard struct {
	Index uint8  `json:"index"`
	Node  string `json:"node"` // its name, or its id when it left the store
	File  string `json:"file"` // name below packs/
}

func locateObject() operation[named, located] {
	return operation[named, located]{"locate", func(ctx context.Context, e *engine.Engine, a named, _ progress) (located, error) {
		var k cairn.Key
		k.Bucket, k.Object, _ = strings.Cut(a.Name, "/")
		if err := k.Check(); err != nil {
			return located{}, err
		}
		o, places, err := e.Store.Locate(ctx, k)
		if err != nil {
			return located{}, fmt.Errorf("%v: %w", k, err)
		}
		nodes, err := e.Store.Nodes()
		if err != nil {
			return located{}, err
		}
		names := make(map[cairn.NodeID]string)
		for _, n := range nodes {
			names[n.ID] = n.Name
		}
		out := located{Key: k.String(), Size: o.Size, ETag: o.ETag, Modified: o.Modified, Packs: []inPack{}}
		for _, p := range places {
			out.Packs = append(out.Packs, packOf(p, names))
		}
		return out, nil
	}}
}

func packOf(p store.Place, names map[cairn.NodeID]string) inPack {
	out := inPack{Pack: p.Pack.String(), Kind: p.Kind, State: p.State, Coding: p.Coding, Bytes: p.Bytes, Shards: []inShard{}}
	for _, l := range p.At {
		name, ok := names[l.Node]
		if !ok {
			name = l.Node.String()
		}
		out.Shards = append(out.Shards, inShard{l.Index, name, l.Name(p.Pack).String()})
	}
	return out
}

func runLocate(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	rest, err := f.parse(args, 1, 1)
	if err != nil {
		return err
	}
	if !strings.Contains(rest[0], "/") {
		return usageError(v, "%q is no BUCKET/KEY", rest[0])
	}
	out, err := locateObject().do(ctx, f, named{rest[0]})
	if err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	e.printf("%s  %s, written %s\n", out.Key, bytesText(out.Size), out.Modified.Format(time.DateTime))
	var rows [][]string
	for _, p := range out.Packs {
		var at []string
		for _, s := range p.Shards {
			at = append(at, fmt.Sprintf("%d %s", s.Index, s.Node))
		}
		where := strings.Join(at, " · ")
		if where == "" {
			where = "this machine only"
		}
		rows = append(rows, []string{"  pack " + p.Pack, p.Kind, p.State, orDash(p.Coding), bytesText(p.Bytes), where})
	}
	e.printf("%s", columns(rows))
	return nil
}

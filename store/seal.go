package store

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/cairn-storage/cairn/erasure"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store/stage"
)

// seal fixes the pack's files: contents and trailer are durable in the stage
// when it returns nil, before any shard leaves. A log pack's seal hash is the
// next one's Prev.
func (s *Store) seal(p *staged) (*pack.Sealed, error) {
	coding, err := s.c.Nodes.Coding(s.Coding())
	if err != nil {
		return nil, err
	}
	h := p.file.Header
	c := pack.Contents{Kind: h.Kind, Length: p.length, Runs: p.runs, Records: p.records}
	if h.Kind == pack.Log {
		s.mu.Lock()
		c.Number, c.Prev = h.Number, s.chain.seal
		s.mu.Unlock()
		c.First, c.Last = p.records[0].Stamp, p.records[len(p.records)-1].Stamp
	}
	c.Part, c.Total, c.CutOff = p.part, p.total, p.cutOff
	params := pack.Params{Store: h.Store, ID: h.Pack, Epoch: h.Epoch, Prefix: h.Prefix, Coding: coding, Length: pack.ShardLength(uint64(p.length), coding)}
	contents, err := c.Seal(p.key, params)
	if err != nil {
		return nil, err
	}
	params.Contents = uint32(len(contents))
	b, err := p.file.Bytes(p.length)
	if err != nil {
		return nil, err
	}
	code, err := erasure.New(coding)
	if err != nil {
		return nil, err
	}
	files, err := pack.Seal(code, p.key, params, b, contents, s.c.Sign, column())
	if err != nil {
		return nil, err
	}
	if err := p.file.WriteSeal(stage.Seal{Length: p.length, Contents: contents, Trailer: files.Trailer}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.phase, p.since = sealed, time.Now()
	if h.Kind == pack.Log {
		s.chain.seal, s.chain.done = files.SealHash(), h.Number
		s.ckpt.sealed(h.Number, s.chain.seal)
	}
	return files, nil
}

// column is where the seal's decode check looks.
func column() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	return binary.BigEndian.Uint64(b[:])
}

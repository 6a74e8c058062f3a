package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// begin begins an upload of key.
func (r *rig) begin(key string) string {
	r.tb.Helper()
	u, err := r.CreateUpload(r.tb.Context(), Upload{Key: keyOf(key)})
	must(r.tb, err)
	return u.ID
}

func partPut(key, id string, n int, data []byte) PutPart {
	return PutPart{Key: keyOf(key), Upload: id, Number: n, Body: bytes.NewReader(data), Size: int64(len(data)),
		Digest: func() (Digest, error) { return Digest{ETag: etag(data)}, nil }}
}

func (r *rig) part(key, id string, n int, data []byte) error {
	_, err := r.PutPart(r.tb.Context(), partPut(key, id, n, data))
	return err
}

// partsTag is the ETag of an object of those parts.
func partsTag(parts ...[]byte) string {
	var all []byte
	for _, p := range parts {
		all = append(all, etag(p)...)
	}
	return fmt.Sprintf("%s-%d", etag(all), len(parts))
}

// completeOf completes an upload of parts 1 to their number.
func completeOf(key, id string, parts ...[]byte) CompleteUpload {
	numbers := make([]int, len(parts))
	for i := range parts {
		numbers[i] = i + 1
	}
	return completeNumbers(key, id, numbers, parts...)
}

// completeNumbers completes an upload of those parts, which must be these.
func completeNumbers(key, id string, numbers []int, parts ...[]byte) CompleteUpload {
	tag := partsTag(parts...)
	return CompleteUpload{Key: keyOf(key), Upload: id, Numbers: numbers, ETag: tag, Decide: func(have []Part) (Digest, error) {
		for i, p := range have {
			if p.Number != numbers[i] || p.Size != int64(len(parts[i])) || p.ETag != etag(parts[i]) {
				return Digest{}, fmt.Errorf("part %d is %d bytes, %s: %w", p.Number, p.Size, p.ETag, cairn.ErrInvalid)
			}
		}
		return Digest{ETag: tag, Checksum: []cairn.Checksum{{Algorithm: "CRC32", Value: "AAAAAA==-2"}}}, nil
	}}
}

func (r *rig) complete(key, id string, parts ...[]byte) (cairn.Object, error) {
	return r.CompleteUpload(r.tb.Context(), completeOf(key, id, parts...))
}

// wantParts fails unless an upload in progress has exactly these parts.
func (r *rig) wantParts(key, id string, parts map[int][]byte) {
	r.tb.Helper()
	list, err := r.Parts(r.tb.Context(), keyOf(key), id, 0, 1000)
	must(r.tb, err)
	got := make(map[int]bool)
	for _, p := range list.Parts {
		got[p.Number] = true
		if data, ok := parts[p.Number]; !ok || p.ETag != etag(data) || p.Size != int64(len(data)) {
			r.tb.Fatalf("part %d of %s is %d bytes, %s", p.Number, key, p.Size, p.ETag)
		}
	}
	for n := range parts {
		if !got[n] {
			r.tb.Fatalf("part %d of %s is not there", n, key)
		}
	}
}

// wantNoUpload fails unless an upload has ended, whoever asks.
func (r *rig) wantNoUpload(key, id string) {
	r.tb.Helper()
	ctx := r.tb.Context()
	_, stat := r.Upload(ctx, keyOf(key), id)
	_, list := r.Parts(ctx, keyOf(key), id, 0, 10)
	put := r.part(key, id, 1, []byte("x"))
	abort := r.AbortUpload(ctx, keyOf(key), id)
	page, err := r.Uploads(ctx, UploadsRequest{Bucket: "bbb", Max: 1000})
	must(r.tb, err)
	if slices.ContainsFunc(page.Uploads, func(u Upload) bool { return u.ID == id }) {
		r.tb.Fatalf("upload %s of %s is listed", id, key)
	}
	for i, err := range []error{stat, list, put, abort} {
		if !errors.Is(err, ErrNoUpload) {
			r.tb.Fatalf("upload of %s: verb %d: %v, want ErrNoUpload", key, i, err)
		}
	}
}

// lostIndex opens the store again with its index gone.
func (r *rig) lostIndex(t *testing.T) {
	t.Helper()
	r.close()
	must(t, index.Destroy(r.fs, indexDir()))
	r.open()
}

// away lets time pass while the store is closed, which costs nothing.
func (r *rig) away(d time.Duration) {
	r.tb.Helper()
	r.close()
	r.pass(d)
	r.open()
}

// pack2KiB is how many parts of one extent need just no list of their own.
const pack2KiB = 2048 / 64

func mustID(tb testing.TB, text string) pack.UploadID {
	tb.Helper()
	id, err := parseUpload(text)
	must(tb, err)
	return id
}

// stageOf tells whether a step is about the log stage that is open.
func stageOf(r *rig, s durable.Step) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, p := range r.packs {
		if p.file.Kind == pack.Log && p.phase == writing && strings.Contains(s.Name, id.String()) {
			return true
		}
	}
	return false
}

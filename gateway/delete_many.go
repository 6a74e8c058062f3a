package gateway

import (
	"encoding/xml"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

const (
	maxDeletes        = 1000    // keys in one request, as S3 has it
	maxDeleteDocument = 2 << 20 // bytes
	// deleteWidth is how many deletes of one request are with the store at a
	// time: enough to share its groups, little beside other clients' writes.
	deleteWidth = 32
)

type deleteXML struct {
	Quiet  string
	Object []deleteEntry
}

// deleteEntry is one object to delete.
type deleteEntry struct {
	Key              *string
	VersionID        string `xml:"VersionId"`
	ETag             *string
	LastModifiedTime *struct{}
	Size             *struct{}
}

type deletedXML struct {
	XMLName   xml.Name `xml:"DeleteResult"`
	Namespace string   `xml:"xmlns,attr"`
	Deleted   []deletedKey
	Error     []deleteError
}

type deletedKey struct{ Key text }

type deleteError struct {
	Key     text
	Code    string
	Message text
}

// deleteObjects deletes up to 1,000 objects, each on its own: what becomes of
// one does not touch the others. A key that does not exist counts as deleted.
func (g *Gateway) deleteObjects(r *request) error {
	if !provesBody(r.Header) {
		return fail(codeInvalidRequest, "deleting several objects needs the body's Content-MD5 or an x-amz-checksum- of it")
	}
	// The document and what is read of it are in memory at the same time.
	document, err := g.readProven(r, min(maxDeleteDocument, g.c.MemoryBudget/4), 2)
	if err != nil {
		return err
	}
	entries, quiet, err := parseDelete(document)
	if err != nil {
		return err
	}
	if _, err := g.c.Store.Bucket(r.Context(), r.key.Bucket); err != nil {
		return err
	}
	failures := make([]*failure, len(entries))
	var work errgroup.Group
	work.SetLimit(deleteWidth)
	for i, e := range entries {
		if r.Context().Err() != nil {
			break
		}
		work.Go(func() error {
			if err := g.deleteOne(r, e); err != nil {
				failures[i] = classify(err, false)
			}
			return nil
		})
	}
	_ = work.Wait() // errors are in failures
	if err := r.Context().Err(); err != nil {
		return err
	}
	for _, f := range failures {
		if bug := new(panicked); f != nil && errors.As(f, &bug) {
			return bug
		}
	}
	g.noteFailures(r, failures)
	out := deletedXML{Namespace: s3Namespace}
	for i, e := range entries {
		switch f := failures[i]; {
		case f != nil:
			out.Error = append(out.Error, deleteError{escapeText(*e.Key), f.code.name, escapeText(f.message)})
		case !quiet:
			out.Deleted = append(out.Deleted, deletedKey{escapeText(*e.Key)})
		}
	}
	r.writeXML(http.StatusOK, out)
	return nil
}

// noteFailures logs what the gateway's operator should know of deletes that
// failed, for the request itself is answered with 200. Their errors may name
// objects, so only the class is told.
func (g *Gateway) noteFailures(r *request, failures []*failure) {
	n, worst := 0, code{}
	for _, f := range failures {
		if f != nil && f.code.status >= http.StatusInternalServerError && f.code != codeNotImplemented {
			n, worst = n+1, f.code
		}
	}
	if n > 0 {
		g.log.LogAttrs(r.Context(), slog.LevelWarn, "objects of a request were not deleted", slog.String("request", r.id),
			slog.String("bucket", r.key.Bucket), slog.Int("objects", n), slog.String("code", worst.name))
	}
}

// deleteOne deletes one object. It runs apart from the request's goroutine, so
// a panic has to be caught here.
func (g *Gateway) deleteOne(r *request, e deleteEntry) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{v, debug.Stack()}
		}
	}()
	k := cairn.Key{Bucket: r.key.Bucket, Object: *e.Key}
	var c store.Condition
	switch {
	case e.VersionID != "" && e.VersionID != "null":
		return notImplemented("deleting a version (VersionId)")
	case e.LastModifiedTime != nil || e.Size != nil:
		return notImplemented("deleting by LastModifiedTime or Size")
	case len(k.Object) > cairn.MaxKeyLength:
		return fail(codeKeyTooLong, "the key has %d bytes, at most %d are allowed", len(k.Object), cairn.MaxKeyLength)
	case e.ETag != nil:
		tags, ok := parseTags([]string{*e.ETag})
		if !ok {
			return fail(codeInvalidArgument, "the ETag %q cannot be read", *e.ETag)
		}
		c.Match = tags
	}
	if err := k.Check(); err != nil {
		return err
	}
	return g.c.Store.Delete(r.Context(), k, c)
}

// provesBody reports whether h has or announces something to prove a body by,
// apart from its signature.
func provesBody(h http.Header) bool {
	if h.Get("Content-Md5") != "" || h.Get("X-Amz-Trailer") != "" {
		return true
	}
	return slices.ContainsFunc(checksumAlgorithms, func(a *checksumAlgorithm) bool { return h.Get(checksumPrefix+a.name) != "" })
}

// parseDelete reads a Delete document.
func parseDelete(document []byte) (entries []deleteEntry, quiet bool, err error) {
	var in deleteXML
	if err := parseXML(hideControls(document), "Delete", &in); err != nil {
		return nil, false, err
	}
	switch n := len(in.Object); {
	case n == 0:
		return nil, false, fail(codeMalformedXML, "the Delete document names no object")
	case n > maxDeletes:
		return nil, false, fail(codeMalformedXML, "the Delete document names %d objects, at most %d are deleted at once", n, maxDeletes)
	}
	switch strings.TrimSpace(in.Quiet) {
	case "", "false", "0":
	case "true", "1":
		quiet = true
	default:
		return nil, false, fail(codeMalformedXML, "Quiet is %q, not true or false", in.Quiet)
	}
	for i, e := range in.Object {
		if e.Key == nil || *e.Key == "" {
			return nil, false, fail(codeMalformedXML, "the object number %d has no Key", i+1)
		}
		*e.Key = showControls(*e.Key)
	}
	return in.Object, quiet, nil
}

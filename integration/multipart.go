package integration

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
)

// Part is a part as a client remembers it.
type Part struct {
	Number int    `xml:"PartNumber"`
	ETag   string `xml:"ETag"`
	Size   int64  `xml:"Size,omitempty"`
}

// CreateUpload returns the upload's id.
func (c *Client) CreateUpload(ctx context.Context, key string, header ...string) (string, error) {
	r, err := c.Ask(ctx, Ask{Method: http.MethodPost, Key: key, Query: "uploads=", Header: header})
	if err != nil {
		return "", err
	}
	var made struct{ UploadId string }
	if err := r.Into(&made); err != nil {
		return "", fmt.Errorf("create upload: %w", err)
	}
	if made.UploadId == "" {
		return "", fmt.Errorf("create upload: no UploadId in %v", r)
	}
	return made.UploadId, nil
}

// PutPart stores one part.
func (c *Client) PutPart(ctx context.Context, key, id string, number int, body []byte, header ...string) (Part, error) {
	r, err := c.Ask(ctx, Ask{Method: http.MethodPut, Key: key, Query: fmt.Sprintf("partNumber=%d&uploadId=%s", number, escape(id)), Body: body, Header: header})
	if err != nil {
		return Part{}, err
	}
	if r.Status != http.StatusOK {
		return Part{}, fmt.Errorf("part %d: %w", number, &StatusError{r.Status, r.Code})
	}
	return Part{Number: number, ETag: r.Header.Get("ETag")}, nil
}

// CompleteUpload sends the parts in XML with S3's namespace, or without one as
// Nix does.
func (c *Client) CompleteUpload(ctx context.Context, key, id string, parts []Part, namespace bool) (Reply, error) {
	var list bytes.Buffer
	list.WriteString("<CompleteMultipartUpload")
	if namespace {
		list.WriteString(` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`)
	}
	list.WriteString(">")
	for _, p := range parts {
		fmt.Fprintf(&list, "<Part><PartNumber>%d</PartNumber><ETag>", p.Number)
		if err := xml.EscapeText(&list, []byte(p.ETag)); err != nil {
			return Reply{}, err
		}
		list.WriteString("</ETag></Part>")
	}
	list.WriteString("</CompleteMultipartUpload>")
	r, err := c.Ask(ctx, Ask{Method: http.MethodPost, Key: key, Query: "uploadId=" + escape(id), Body: list.Bytes()})
	// S3 may say 200 first and an error after.
	if err == nil && r.Status == http.StatusOK && strings.Contains(string(r.Body), "<Error>") {
		return r, fmt.Errorf("complete: a 200 with an error in it: %v", r)
	}
	return r, err
}

// AbortUpload returns the answer to one abort.
func (c *Client) AbortUpload(ctx context.Context, key, id string) (Reply, error) {
	return c.Ask(ctx, Ask{Method: http.MethodDelete, Key: key, Query: "uploadId=" + escape(id)})
}

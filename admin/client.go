package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"

	"github.com/cairn-storage/cairn"
)

// Client runs verbs inside the gateway that listens at a socket.
type Client struct {
	socket string
	http   http.Client
}

// Dial looks whether a gateway listens at socket. ErrNotExist when there is no
// socket or nobody behind it, ErrDenied when it is not for this user.
func Dial(ctx context.Context, socket string) (*Client, error) {
	c := &Client{socket: socket}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	c.http.Transport = &http.Transport{DialContext: dial, DisableKeepAlives: true}
	conn, err := dial(ctx, "", "")
	switch {
	case err == nil:
		_ = conn.Close()
		return c, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("the gateway's socket %s is for another user: run this as the user of cairn: %w", socket, cairn.ErrDenied)
	}
	return nil, fmt.Errorf("no gateway at %s: %w", socket, cairn.ErrNotExist)
}

// Call runs a verb and decodes its result, unless that is nil. progress, which
// may be nil, gets each report as it comes. The error has the class that the
// verb's had; ErrUnavailable when the gateway went away, and then it is not
// known whether the verb was done.
func (c *Client) Call(ctx context.Context, verb string, args any, progress func(json.RawMessage), result any) error {
	body, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("admin: arguments of %s: %w", verb, err)
	}
	// The host is not looked at: the socket is the address.
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://cairn/v1/"+verb, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("admin: %s: %w", verb, err)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return c.gone(ctx, verb, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: what listens at %s answers %s and is no gateway of this release: %w", verb, c.socket, answer.Status, cairn.ErrUnavailable)
	}
	lines := bufio.NewReader(answer.Body)
	for {
		text, err := lines.ReadBytes('\n')
		if err == io.EOF {
			err = errors.New("its answer was cut off")
		}
		if err != nil {
			return c.gone(ctx, verb, err)
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return c.gone(ctx, verb, err)
		}
		switch {
		case l.Error != nil:
			return l.Error
		case l.Result != nil:
			if result == nil {
				return nil
			}
			if err := json.Unmarshal(l.Result, result); err != nil {
				return fmt.Errorf("admin: result of %s: %w", verb, err)
			}
			return nil
		case progress != nil:
			progress(l.Progress)
		}
	}
}

// Gone is the error of a call whose gateway went away before it answered.
type Gone struct{ error }

// Unwrap returns what happened, of class ErrUnavailable.
func (g Gone) Unwrap() error { return g.error }

func (c *Client) gone(ctx context.Context, verb string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return Gone{fmt.Errorf("the gateway at %s went away; whether %s was done is not known: %w: %w", c.socket, verb, err, cairn.ErrUnavailable)}
}

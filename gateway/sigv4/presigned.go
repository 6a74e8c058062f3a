package sigv4

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MaxExpires is how long a presigned address may be good for.
const MaxExpires = 7 * 24 * time.Hour

// Presigned is what the query of a presigned address says. None of it is
// believed before Verify, to which At is the time.
type Presigned struct {
	Authorization
	At      time.Time
	Expires time.Duration // 1 s to MaxExpires
}

// IsPresigned reports whether a query with such a parameter claims to be
// signed with this version.
func IsPresigned(parameter string) bool {
	switch parameter {
	case "X-Amz-Algorithm", "X-Amz-Credential", querySignature:
		return true
	}
	return false
}

// ParsePresigned reads a raw query, without the question mark. Any departure
// from the form is ErrMalformed with the reason.
func ParsePresigned(query string) (Presigned, error) {
	p := Presigned{Authorization: Authorization{inQuery: true}}
	names := [...]string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", querySignature}
	read := [len(names)]func(string) error{p.readAlgorithm, p.readCredential, p.readDate, p.readExpires, p.readHeaders, p.readSignature}
	var seen [len(names)]bool
	bad := func(err error) (Presigned, error) {
		return Presigned{}, fmt.Errorf("%w: %w", err, ErrMalformed)
	}
	for pair := range strings.SplitSeq(query, "&") {
		k, v, _ := strings.Cut(pair, "=")
		name, err := Unescape(k, true)
		if err != nil {
			return bad(err)
		}
		for i := range names {
			if name != names[i] {
				continue
			}
			if seen[i] {
				return bad(fmt.Errorf("%s is given twice", name))
			}
			seen[i] = true
			value, err := Unescape(v, true)
			if err == nil {
				err = read[i](value)
			}
			if err != nil {
				return bad(fmt.Errorf("%s: %w", name, err))
			}
		}
	}
	for i := range names {
		if !seen[i] {
			return bad(fmt.Errorf("%s is missing; a signed query needs %s", names[i], strings.Join(names[:], ", ")))
		}
	}
	if day := p.At.Format(dateFormat); day != p.Scope.Date {
		return bad(fmt.Errorf("the date of the credential, %s, is not that of X-Amz-Date, %s", p.Scope.Date, day))
	}
	return p, nil
}

func (p *Presigned) readAlgorithm(value string) error {
	if value != algorithm {
		return fmt.Errorf("only %s is supported", algorithm)
	}
	return nil
}

func (p *Presigned) readDate(value string) (err error) {
	if p.At, err = time.Parse(TimeFormat, value); err != nil {
		return errors.New("must be written yyyymmddThhmmssZ")
	}
	return nil
}

func (p *Presigned) readExpires(value string) error {
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil || n < 1 || n > uint64(MaxExpires/time.Second) {
		return fmt.Errorf("must be a number of seconds from 1 to %d, which is a week", MaxExpires/time.Second)
	}
	p.Expires = time.Duration(n) * time.Second
	return nil
}

package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// Access returns an access key with its secret; ErrNotExist where there is
// none.
func (s *Store) Access(ctx context.Context, id string) (Access, error) {
	if err := s.err(); err != nil {
		return Access{}, err
	}
	a, err := s.idx.Access(id)
	if err != nil {
		return Access{}, fmt.Errorf("access key %w", err)
	}
	return s.accessOf(a)
}

// Accesses returns all access keys, secrets included, in order of id.
func (s *Store) Accesses(ctx context.Context) ([]Access, error) {
	as, err := s.idx.Accesses()
	if err != nil {
		return nil, err
	}
	out := make([]Access, len(as))
	for i, a := range as {
		if out[i], err = s.accessOf(a); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Store) accessOf(a pack.Access) (Access, error) {
	secret, err := s.c.Box.Open(accessPurpose(a.ID), a.Secret)
	if err != nil {
		return Access{}, fmt.Errorf("store: secret of access key %s does not open with this gateway's identity: %w", a.ID, err)
	}
	out := Access{ID: a.ID, Secret: string(secret), Name: a.Name, Created: time.UnixMilli(int64(a.Created)).UTC()}
	for _, g := range a.Grants {
		out.Grants = append(out.Grants, Grant{Bucket: g.Bucket, Level: Level(g.Level)})
	}
	return out, nil
}

func accessPurpose(id string) string { return "access " + id }

// letters is what ids and secrets are drawn from: 32 signs, none easily taken
// for another.
const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

func randomText(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // crypto/rand never fails
	for i := range b {
		b[i] = letters[b[i]%32]
	}
	return string(b)
}

// CreateAccess makes an access key with the grants. It returns id and secret:
// 20 and 40 characters, 100 and 200 random bits.
func (s *Store) CreateAccess(ctx context.Context, name string, grants []Grant) (Access, error) {
	return s.PutAccess(ctx, Access{ID: "CK" + randomText(18), Secret: randomText(40), Name: name, Grants: grants})
}

// PutAccess makes an access key of a given id and secret, or changes it.
func (s *Store) PutAccess(ctx context.Context, a Access) (Access, error) {
	if len(a.ID) < 3 || len(a.ID) > 128 || len(a.Secret) < 8 || len(a.Secret) > 1024 || len(a.Name) > 200 || len(a.Grants) > 1000 {
		return Access{}, fmt.Errorf("store: access key: the id needs 3 to 128, the secret 8 to 1024 characters: %w", cairn.ErrInvalid)
	}
	for _, g := range a.Grants {
		if g.Level < Read || g.Level > Admin {
			return Access{}, fmt.Errorf("store: access key: level %d: %w", g.Level, cairn.ErrInvalid)
		}
		if g.Bucket != "*" {
			if err := cairn.CheckBucketName(g.Bucket); err != nil {
				return Access{}, err
			}
		}
	}
	a.Created = time.Now().UTC().Truncate(time.Millisecond)
	rec := pack.Access{ID: a.ID, Name: a.Name, Created: uint64(a.Created.UnixMilli()),
		Secret: s.c.Box.Seal(rand.Reader, accessPurpose(a.ID), []byte(a.Secret))}
	for _, g := range a.Grants {
		rec.Grants = append(rec.Grants, pack.Grant{Bucket: g.Bucket, Level: uint8(g.Level)})
	}
	err := s.decideIn(ctx, scope{store: true}, func(t *txn) error { return t.log(rec) })
	return a, err
}

// RevokeAccess ends an access key; ErrNotExist where there is none.
func (s *Store) RevokeAccess(ctx context.Context, id string) error {
	return s.decideIn(ctx, scope{store: true, anyway: true}, func(t *txn) error { // refusing would leave the key alive
		if _, err := s.idx.Access(id); err != nil {
			return fmt.Errorf("access key %s: %w", id, err)
		}
		return t.log(pack.AccessGone{ID: id})
	})
}

// Coding is the store's setting: "auto" or k+m.
func (s *Store) Coding() string {
	v, ok, err := s.idx.Setting("coding")
	if err != nil || !ok {
		return s.c.Coding
	}
	return v
}

// SetCoding changes the coding of packs sealed from now on. A root tells of it;
// one that cannot be written now fails nothing and is tried again.
func (s *Store) SetCoding(ctx context.Context, coding string) error {
	if coding != "auto" {
		if _, err := cairn.ParseCoding(coding); err != nil {
			return err
		}
	}
	err := s.decide(ctx, func(t *txn) error { return t.log(pack.Setting{Name: "coding", Value: coding}) })
	if err != nil {
		return err
	}
	s.rooted(ctx)
	return nil
}

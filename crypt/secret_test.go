package crypt

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
)

func TestASecretAtRestOpensOnlyForItsPurposeAndIdentity(t *testing.T) {
	gateway := testIdentity(t, Gateway, 2)
	box := gateway.Secrets()
	for _, plain := range [][]byte{nil, []byte("s"), pattern(4096, 1)} {
		sealed := box.Seal(rand.Reader, "access AKIA1", plain)
		if got, err := gateway.Secrets().Open("access AKIA1", sealed); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes: %v", len(plain), err)
		}
		if again := box.Seal(rand.Reader, "access AKIA1", plain); bytes.Equal(again, sealed) {
			t.Error("two sealings are alike")
		}
		for name, c := range map[string]struct {
			box     *Box
			purpose string
		}{
			"another purpose":  {box, "access AKIA2"},
			"no purpose":       {box, ""},
			"another identity": {testIdentity(t, Gateway, 3).Secrets(), "access AKIA1"},
			"an owner's":       {testIdentity(t, Owner, 3).Secrets(), "access AKIA1"},
		} {
			if got, err := c.box.Open(c.purpose, sealed); !errors.Is(err, cairn.ErrCorrupt) || got != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for i := range min(len(sealed), 100) {
			b := slices.Clone(sealed)
			b[i] ^= 1
			if _, err := box.Open("access AKIA1", b); !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("byte %d flipped: %v", i, err)
			}
			if _, err := box.Open("access AKIA1", sealed[:i]); !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("cut to %d: %v", i, err)
			}
		}
	}
}

// One age key serves two stores only by a mistake; their secrets stay apart
// even then.
func TestDerivedKeysDependOnStoreAndUse(t *testing.T) {
	a := testIdentity(t, Gateway, 2)
	b := a
	b.store[0]++
	if a.CacheKey() == b.CacheKey() || a.CacheKey() == a.derive("cairn/1 at rest ") {
		t.Error("two uses share a key")
	}
}

func TestWithoutChanceNothingIsSealed(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("sealed without a nonce")
		}
	}()
	testIdentity(t, Gateway, 2).Secrets().Seal(bytes.NewReader(nil), "p", nil)
}

func TestSecretsNeverPrint(t *testing.T) {
	id := testIdentity(t, Gateway, 2)
	var epoch EpochKey
	copy(epoch[:], pattern(32, 0xa0))
	pack := epoch.Pack(cairn.PackID{1}, NoncePrefix{2})
	sign := id.Sign()
	seed := id.SSHSeed()
	secrets := [][]byte{epoch[:], pack.raw[:], id.sign[:], seed[:], []byte(id.age.String())}
	texts := func(b []byte) []string {
		return []string{string(b), fmt.Sprintf("%x", b[:8]), fmt.Sprintf("%X", b[:8]), strings.Trim(fmt.Sprint(b[:8]), "[]"),
			strings.Trim(fmt.Sprintf("%x", fmt.Sprint(b[:4])), "[]")}
	}
	for name, v := range map[string]any{
		"epoch key": epoch, "pack key": pack, "signing key": sign, "identity": id, "box": id.Secrets(), "root key": epoch.Root(cairn.StoreID{1}),
		"pointer": &id, "in a struct": struct {
			ID Identity
			K  EpochKey
			S  SigningKey
		}{id, epoch, sign}, "in a slice": []any{epoch, id, sign, pack},
	} {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
		if b, err := json.Marshal(v); err == nil {
			out.Write(b)
		}
		for _, s := range secrets {
			for _, text := range texts(s) {
				if strings.Contains(out.String(), text) {
					t.Errorf("%s prints a secret as %q", name, text)
				}
			}
		}
		if !strings.Contains(out.String(), "hidden") {
			t.Errorf("%s prints no placeholder: %s", name, out.String())
		}
	}
}

func FuzzBoxOpen(f *testing.F) {
	box := testIdentity(f, Gateway, 2).Secrets()
	f.Add("access AKIA1", box.Seal(bytes.NewReader(pattern(24, 1)), "access AKIA1", []byte("secret")))
	f.Add("", []byte{1})
	f.Fuzz(func(t *testing.T, purpose string, sealed []byte) {
		plain, err := box.Open(purpose, sealed)
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		if again := box.Seal(bytes.NewReader(sealed[1:25]), purpose, plain); !bytes.Equal(again, sealed) {
			t.Fatal("two sealings")
		}
	})
}

package corrupt

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/store"
)

// secretsBench harms what init leaves in the state directory, and the identity
// file, and opens the whole engine of the program.
type secretsBench struct {
	disk  *durable.Mem
	file  config.Config
	body  []byte
	files map[string][]byte
}

func openSecrets(t *testing.T, _ *worlds) bench {
	ctx := t.Context()
	b := &secretsBench{disk: durable.NewMem(), body: content(1, 5000)}
	_, err := engine.Init(ctx, engine.InitConfig{FS: b.disk, Dir: dir, Identity: "/id/gateway", OwnerFile: "/id/owner"})
	must(t, err)
	b.file = config.Default()
	b.file.Dir, b.file.Cache.Memory = dir, 1<<20
	b.file = b.file.Resolve()
	e, err := b.open(t, b.disk)
	must(t, err)
	must(t, e.Store.CreateBucket(ctx, bucket))
	_, err = e.Store.Put(ctx, store.Put{Key: keyOf("one"), Body: bytes.NewReader(b.body), Size: int64(len(b.body)),
		Digest: func() (store.Digest, error) { return store.Digest{ETag: etag(b.body)}, nil }})
	must(t, err)
	must(t, e.Close(ctx))
	b.files = make(map[string][]byte)
	names := []string{"/id/gateway"}
	keys, err := b.disk.List(dir + "/secrets/keys")
	must(t, err)
	for _, n := range keys {
		names = append(names, dir+"/secrets/keys/"+n)
	}
	for _, n := range []string{"store", "owners", "delegation"} {
		names = append(names, dir+"/secrets/"+n)
	}
	for _, n := range names {
		b.files[n], err = contentOf(b.disk, n)
		must(t, err)
	}
	return b
}

func (b *secretsBench) open(t *testing.T, disk *durable.Mem) (*engine.Engine, error) {
	text, err := contentOf(disk, "/id/gateway")
	if err != nil {
		return nil, err
	}
	id, err := crypt.ParseIdentity(text)
	if err != nil {
		return nil, err
	}
	return engine.Open(t.Context(), engine.Config{FS: disk, File: b.file, Identity: id, IndexCache: 1 << 20})
}

func (b *secretsBench) do(t *testing.T, r *rand.Rand) (o outcome) {
	names := slices.Sorted(maps.Keys(b.files))
	name := names[r.IntN(len(names))]
	o.class = filepath.Base(name)
	if strings.Contains(name, "/keys/") {
		o.class = "wrapped keys"
	}
	data := b.files[name]
	c := alter(r, data, span{o.class, 0, len(data)}, [][]byte{b.files[names[r.IntN(len(names))]]})
	o.what, o.result = o.class+": "+c.how, exact
	disk := b.disk.Crash(100, 1)
	if o.err = replace(disk, name, c.data); o.err != nil {
		return o
	}
	e, err := b.open(t, disk)
	if err != nil {
		o.result = failed
		if !known(err) {
			o.err = fmt.Errorf("an error of no class: %w", err)
		}
		return o
	}
	got, _, err := read(t.Context(), e.Store, "one")
	switch {
	case err != nil && !known(err):
		o.err = fmt.Errorf("an error of no class: %w", err)
	case err != nil:
		o.result = failed
	case !bytes.Equal(got, b.body):
		o.err = errWrong
	}
	o.err = errors.Join(o.err, e.Close(t.Context()))
	if o.err == nil && o.result == exact && (o.class == "wrapped keys" || o.class == "gateway" && !b.means(c.data)) {
		o.err = errors.New("the store opens with it")
	}
	return o
}

// means reports whether an identity file says what it said: comments may
// differ.
func (b *secretsBench) means(text []byte) bool {
	id, err := crypt.ParseIdentity(text)
	if err != nil {
		return false
	}
	return bytes.Equal(id.Encode(), b.files["/id/gateway"])
}

// configBench harms cairn.toml. Nothing in it says what was written, so some
// changes are another configuration; none may be half of one.
type configBench struct{ text []byte }

func openConfig(t *testing.T, _ *worlds) bench {
	c := config.Default()
	c.Dir = dir
	c.Nodes = []config.Node{{Name: "one", Operator: "op", Remote: "disk:/srv/one"}}
	c.Buckets = []config.Bucket{{Name: "nix-cache"}}
	var text bytes.Buffer
	must(t, c.Show(&text))
	_, err := config.Parse("cairn.toml", text.Bytes())
	must(t, err)
	return configBench{text.Bytes()}
}

func (b configBench) do(_ *testing.T, r *rand.Rand) (o outcome) {
	c := alter(r, b.text, span{"cairn.toml", 0, len(b.text)}, [][]byte{content(1, 4096)})
	o.class, o.what, o.result = c.class, "cairn.toml: "+c.how, exact
	got, err := config.Parse("cairn.toml", c.data)
	if err != nil {
		o.result = failed
		if !errors.Is(err, cairn.ErrInvalid) {
			o.err = fmt.Errorf("another class than invalid: %w", err)
		}
		return o
	}
	var text bytes.Buffer
	if o.err = got.Show(&text); o.err != nil {
		return o
	}
	again, err := config.Parse("cairn.toml", text.Bytes())
	if err != nil {
		o.err = fmt.Errorf("what it shows does not parse: %w", err)
		return o
	}
	var more bytes.Buffer
	if o.err = again.Show(&more); o.err == nil && !bytes.Equal(text.Bytes(), more.Bytes()) {
		o.err = errors.New("what it shows parses to something else")
	}
	return o
}

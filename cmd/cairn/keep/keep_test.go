package keep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/store"
)

// objects is a store in memory.
type objects struct {
	mu     sync.Mutex
	bucket bool
	all    map[string]object
	lost   map[string]bool // keys that cannot be read
}

type object struct {
	cairn.Object
	body []byte
}

func (s *objects) CreateBucket(context.Context, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bucket {
		return store.ErrBucketExists
	}
	s.bucket, s.all = true, make(map[string]object)
	return nil
}

func (s *objects) Put(_ context.Context, p store.Put) (cairn.Object, error) {
	body, err := io.ReadAll(p.Body)
	if err != nil {
		return cairn.Object{}, err
	}
	d, err := p.Digest()
	if err != nil {
		return cairn.Object{}, err
	}
	o := object{cairn.Object{Key: p.Key, Size: int64(len(body)), ETag: d.ETag, Checksum: d.Checksum, Meta: p.Meta}, body}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[p.Key.Object] = o
	return o.Object, nil
}

func (s *objects) get(k cairn.Key) (object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.all[k.Object]
	switch {
	case !ok:
		return o, cairn.ErrNotExist
	case s.lost[k.Object]:
		return o, cairn.ErrLost
	}
	return o, nil
}

func (s *objects) Stat(_ context.Context, k cairn.Key) (cairn.Object, error) {
	o, err := s.get(k)
	return o.Object, err
}

func (s *objects) Open(_ context.Context, k cairn.Key) (cairn.Object, store.Source, error) {
	o, err := s.get(k)
	return o.Object, source{o.body}, err
}

type source struct{ body []byte }

func (s source) Range(_ context.Context, off, n int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(s.body[off : off+n])), nil
}
func (source) Close() error { return nil }

func (s *objects) List(_ context.Context, r store.ListRequest) (l store.Listing, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.bucket {
		return l, store.ErrNoBucket
	}
	for _, key := range s.sorted() {
		if strings.HasPrefix(key, r.Prefix) && key > r.After {
			o := s.all[key].Object
			o.Checksum = nil // as the index lists them
			l.Objects = append(l.Objects, o)
		}
		if len(l.Objects) == 2 { // pages are short
			l.More, l.Next = true, key
			break
		}
	}
	return l, nil
}

func (s *objects) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sorted()
}

func (s *objects) body(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.all[key].body)
}

func (s *objects) sorted() []string {
	var names []string
	for k := range s.all {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}

func (s *objects) Delete(_ context.Context, k cairn.Key, _ store.Condition) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, k.Object)
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFileIsKeptAtItsIntervalAndOnlyWhenItChanged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.toml")
	synctest.Test(t, func(t *testing.T) {
		s := &objects{}
		r := New(Config{Store: s, Items: []config.Keep{{Name: "attic", File: file, Every: config.Duration(time.Hour), Keep: 2}}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.Run(ctx); close(done) }()
		synctest.Wait()
		if st := r.State()[0]; !strings.Contains(st.Error, "keep attic: "+file) || st.Bytes != 0 {
			t.Errorf("without the file: %+v", st)
		}
		must(t, os.WriteFile(file, []byte("one"), 0o600))
		time.Sleep(again + time.Second)
		synctest.Wait()
		if st := r.State()[0]; st.Error != "" || st.Bytes != 3 || len(s.names()) != 1 {
			t.Errorf("tried again: %+v, %d versions", st, len(s.names()))
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(s.names()) != 1 {
			t.Errorf("%d versions of a file that did not change", len(s.names()))
		}
		for _, text := range []string{"two", "three", "four"} {
			must(t, os.WriteFile(file, []byte(text), 0o600))
			time.Sleep(time.Hour)
			synctest.Wait()
		}
		var got []string
		for _, k := range s.names() {
			got = append(got, s.body(k))
		}
		if !slices.Equal(got, []string{"three", "four"}) {
			t.Errorf("kept: %q, want the last two", got)
		}
		cancel()
		<-done
	})
}

// What an earlier life of the gateway kept counts, and what somebody else put
// into the bucket is left alone.
func TestRestartWaitsForTheRestOfTheInterval(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	must(t, os.WriteFile(file, []byte("new"), 0o600))
	synctest.Test(t, func(t *testing.T) {
		s := &objects{bucket: true, all: map[string]object{
			"f/notes":  {Object: cairn.Object{Key: cairn.Key{Bucket: Bucket, Object: "f/notes"}}},
			"unsorted": {Object: cairn.Object{Key: cairn.Key{Bucket: Bucket, Object: "unsorted"}}},
		}}
		old := objectName("f", time.Now().Add(-40*time.Minute))
		s.all[old] = object{Object: cairn.Object{Key: cairn.Key{Bucket: Bucket, Object: old}, Size: 9}}
		r := New(Config{Store: s, Items: []config.Keep{{Name: "f", File: file, Every: config.Duration(time.Hour), Keep: 1}}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.Run(ctx); close(done) }()
		time.Sleep(19 * time.Minute)
		synctest.Wait()
		if st := r.State()[0]; st.Bytes != 9 || len(s.names()) != 3 {
			t.Errorf("before it is due: %+v, %q", st, s.names())
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if names := s.names(); len(names) != 3 || slices.Contains(names, old) || !slices.Contains(names, "f/notes") {
			t.Errorf("once due: %q", names)
		}
		cancel()
		<-done
	})
}

func TestCommandIsKeptOnlyWhole(t *testing.T) {
	for _, c := range []struct {
		name  string
		argv  []string
		limit time.Duration
		want  string // body; "" for an error that says
		says  string
	}{
		{"its output", []string{"echo", "a", "$HOME;"}, 0, "a $HOME;\n", ""},
		{"it fails at its end", []string{"sh", "-c", "echo half; echo no connection >&2; exit 3"}, 0, "", "no connection"},
		{"it writes nothing", []string{"true"}, 0, "", "it wrote nothing"},
		{"it is not there", []string{"/no/such/program"}, 0, "", "no such file"},
		{"it takes too long", []string{"sh", "-c", "echo half; exec sleep 60"}, 50 * time.Millisecond, "", "more than 50ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &objects{}
			r := New(Config{Store: s, Limit: c.limit, Items: []config.Keep{{Name: "x", Command: c.argv, Keep: 3}}})
			err := r.once(t.Context(), 0)
			if c.want == "" {
				if err == nil || !strings.Contains(err.Error(), c.says) || !errors.Is(err, cairn.ErrUnavailable) || len(s.names()) != 0 {
					t.Errorf("got %v and %d objects, want an error that says %q", err, len(s.names()), c.says)
				}
				return
			}
			must(t, err)
			for name, o := range s.all {
				if item, _, ok := parseName(name); !ok || item != "x" || string(o.body) != c.want || len(o.Checksum) != 1 || len(o.ETag) != 32 {
					t.Errorf("%s: %+v", name, o)
				}
			}
		})
	}
}

func TestLayOutTakesTheNewestThatCanBeRead(t *testing.T) {
	s := &objects{lost: map[string]bool{}}
	if laid, err := LayOut(t.Context(), s, filepath.Join(t.TempDir(), "kept")); err != nil || len(laid) != 0 {
		t.Errorf("without the bucket: %v, %v", laid, err)
	}
	file := filepath.Join(t.TempDir(), "server.toml")
	r := New(Config{Store: s, Items: []config.Keep{
		{Name: "attic", Command: []string{"echo", "dump"}, Keep: 3},
		{Name: "toml", File: file, Keep: 3},
	}})
	for i := range 2 {
		must(t, os.WriteFile(file, fmt.Append(nil, i), 0o644))
		must(t, r.once(t.Context(), 0))
		must(t, r.once(t.Context(), 1))
		waitForNextMilli()
	}
	names := s.names()
	s.lost[names[len(names)-1]] = true // the newest of toml
	dir := filepath.Join(t.TempDir(), "kept")
	laid, err := LayOut(t.Context(), s, dir)
	must(t, err)
	if len(laid) != 2 || laid[0].Name != "attic" || laid[1].Name != "toml" {
		t.Fatalf("laid out: %+v", laid)
	}
	for i, want := range []string{"dump\n", "0"} {
		b, err := os.ReadFile(laid[i].File)
		info, serr := os.Stat(laid[i].File)
		if err != nil || serr != nil || string(b) != want || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %q, %v, %v", laid[i].File, b, err, info.Mode())
		}
	}
	if laid[0].Error != "" || laid[1].Error == "" || laid[1].Restore != "install -D -m 0600 "+laid[1].File+" "+file {
		t.Errorf("laid out: %+v", laid)
	}
}

func waitForNextMilli() {
	for now := time.Now().UnixMilli(); time.Now().UnixMilli() == now; {
	}
}

func TestRestoreLine(t *testing.T) {
	for _, c := range []struct {
		k    config.Keep
		want string
	}{
		{config.Keep{File: "/etc/attic/it's.toml"}, `install -D -m 0600 /d/x '/etc/attic/it'\''s.toml'`},
		{config.Keep{Command: []string{"pg_dump", "--format=custom", "attic"}}, "pg_restore --clean --if-exists --dbname attic /d/x"},
		{config.Keep{Command: []string{"/usr/bin/pg_dump", "-Fc", "-h", "db", "-U", "me", "-d", "attic"}}, "pg_restore --clean --if-exists --dbname attic /d/x"},
		{config.Keep{Command: []string{"pg_dump", "-F", "c", "--dbname=attic"}}, "pg_restore --clean --if-exists --dbname attic /d/x"},
		{config.Keep{Command: []string{"pg_dump", "attic"}}, "psql --dbname attic --file /d/x"},
		{config.Keep{Command: []string{"sqlite3", "/var/lib/attic/server.db", ".dump"}}, "sqlite3 /var/lib/attic/server.db '.read /d/x'"},
		{config.Keep{Command: []string{"my-dump"}}, ""},
	} {
		if got := restoreLine("/d/x", metaOf(c.k)); got != c.want {
			t.Errorf("%v: %q, want %q", c.k, got, c.want)
		}
	}
}

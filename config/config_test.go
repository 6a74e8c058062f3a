package config

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
)

const full = `# This machine only.
dir      = "/srv/cairn"
identity = "/run/credentials/cairn.service/identity"
memory   = "256MiB"
kit      = "/srv/infra/cairn-kit.age"
[s3]
listen     = "unix:/run/cairn/s3.sock"
region     = "garage"
public_url = "https://cache.example.org"
domains    = ["s3.example.org", # ours
  "s3.lan"]
trust_proxy = ["unix", "10.0.0.0/8", "::1"]
insecure_basic = true
access_log = "all"
[admin]
listen = ""
socket = "/run/cairn/admin.sock"
[store]
coding = "4+3"
ack    = "spread"
checkpoint = "30m"
flush  = { max = "60s" }
[stage]
limit  = "20GiB"
settle = "5m"
[cache]
dir    = "/var/cache/cairn"
limit  = "0B"
memory = "1.5GiB"
[scrub]
every   = "14d"
listing = "6h"
bwlimit = "08:00,1M 23:00,8M"
[repair]
after = "12h"
[[node]]
name     = "carol"
operator = "carol"
site     = "fsn1 \"b\""
remote   = "sftp://u1-sub3@u1.example.org:23/cairn"
host_key = "SHA256:XqzK4rZ5nS2bQkqgkq8W6k0zGm0n4mF0N0J0aY3yR1k"
key_file = "/run/credentials/cairn.service/carol"
capacity = "900G"
traffic  = "300G/month"
hours    = "22:00-07:00"
[[node]]
name   = "disk"
remote = "local:/srv/disk"
[[bucket]]
name   = "attic"
public = true
[[keep]]
name    = "attic"
command = ["pg_dump", "--format=custom", "attic"]
every   = "2h"
keep    = 24
[[keep]]
name = "server-toml"
file = "/etc/attic/server.toml"
`

func TestFullFile(t *testing.T) {
	got, err := Parse("cairn.toml", []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	timetable, err := ParseBwlimit("08:00,1M 23:00,8M")
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Dir: "/srv/cairn", Identity: "/run/credentials/cairn.service/identity", Memory: 256 * MiB, Kit: "/srv/infra/cairn-kit.age",
		S3: S3{Listen: "unix:/run/cairn/s3.sock", Region: "garage", PublicURL: "https://cache.example.org", Domains: []string{"s3.example.org", "s3.lan"},
			TrustProxy: []string{"unix", "10.0.0.0/8", "::1"}, InsecureBasic: true, AccessLog: "all"},
		Admin: Admin{Socket: "/run/cairn/admin.sock"},
		Store: Store{Coding: Coding{K: 4, M: 3}, Ack: Spread, Checkpoint: Duration(30 * time.Minute), Flush: Flush{Max: Duration(time.Minute)}},
		Stage: Stage{Limit: 20 * GiB, Settle: Duration(5 * time.Minute)},
		Cache: Cache{Dir: "/var/cache/cairn", Memory: 3 * GiB / 2},
		Scrub: Scrub{Every: Duration(14 * day), Listing: Duration(6 * time.Hour), Bwlimit: timetable}, Repair: Repair{After: Duration(12 * time.Hour)},
		Nodes: []Node{
			{Name: "carol", Operator: "carol", Site: `fsn1 "b"`, Remote: "sftp://u1-sub3@u1.example.org:23/cairn",
				HostKey: "SHA256:XqzK4rZ5nS2bQkqgkq8W6k0zGm0n4mF0N0J0aY3yR1k",
				KeyFile: "/run/credentials/cairn.service/carol", Capacity: 900e9, Traffic: "300G/month", Hours: "22:00-07:00"},
			{Name: "disk", Operator: "disk", Remote: "local:/srv/disk"},
		},
		Buckets: []Bucket{{Name: "attic", Public: true}},
		Keep: []Keep{
			{Name: "attic", Command: []string{"pg_dump", "--format=custom", "attic"}, Every: Duration(2 * time.Hour), Keep: 24},
			{Name: "server-toml", File: "/etc/attic/server.toml", Every: Duration(time.Hour), Keep: 3},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestEmptyFileIsTheDefault(t *testing.T) {
	got, err := Parse("cairn.toml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, Default().Resolve()) {
		t.Errorf("got %+v", got)
	}
	for path, want := range map[string]string{got.Identity: "/var/lib/cairn/identity",
		got.Admin.Socket: "/var/lib/cairn/admin.sock", got.Cache.Dir: "/var/lib/cairn/cache"} {
		if path != want {
			t.Errorf("%s, want %s", path, want)
		}
	}
}

// TestErrorLines holds what a person reads after a slip: one line that names
// the file, the line, the key, and what to write.
func TestErrorLines(t *testing.T) {
	const sftp = "[[node]]\nname = \"carol\"\nremote = \"sftp://u@h/p\"\nkey_file = \"/k\"\n"
	for _, c := range []struct{ text, want string }{
		{"dirr = \"/x\"", `cairn.toml:1: unknown key "dirr", did you mean "dir"?: invalid`},
		{"# x\n\n[stroe]\ncoding = 1\nx = 2", `cairn.toml:3: unknown key "stroe", did you mean "store"?: invalid`},
		{"[s3]\npublic-url = \"x\"", `cairn.toml:2: unknown key "s3.public-url", did you mean "s3.public_url"?: invalid`},
		{"listen = \"x\"", `cairn.toml:1: unknown key "listen", did you mean "s3.listen"?: invalid`},
		{"[admin]\nregion = \"x\"", `cairn.toml:2: unknown key "admin.region", did you mean "s3.region"?: invalid`},
		{"[store]\nflush = { mx = \"3s\" }", `cairn.toml:2: unknown key "store.flush.mx", did you mean "store.flush.max"?: invalid`},
		{"store.flush.mxa = \"3s\"", `cairn.toml:1: unknown key "store.flush.mxa", did you mean "store.flush.max"?: invalid`},
		{"[[node]]\nnaem = \"x\"", `cairn.toml:2: unknown key "node.naem", did you mean "node.name"?: invalid`},
		{"DIR = \"/x\"", `cairn.toml:1: unknown key "DIR": invalid`},
		{"Dir = \"/x\"", `cairn.toml:1: unknown key "Dir", did you mean "dir"?: invalid`},
		{"quxquux = 1", `cairn.toml:1: unknown key "quxquux": invalid`},
		{"dri = \"/x\"\nmemroy = 1", "cairn.toml:1: unknown key \"dri\", did you mean \"dir\"?: invalid\n" +
			"cairn.toml:2: unknown key \"memroy\", did you mean \"memory\"?: invalid"},

		{"memory = 256", `cairn.toml:1: "memory" is a size, write memory = "20GiB": invalid`},
		{"[stage]\nsettle = 10", `cairn.toml:2: "stage.settle" is a duration, write settle = "30s": invalid`},
		{"dir = true", `cairn.toml:1: "dir" is a string, write dir = "...": invalid`},
		{"[[bucket]]\npublic = \"yes\"", `cairn.toml:2: "bucket.public" is true or false, write public = true: invalid`},
		{"store = 5", `cairn.toml:1: "store" is a table, write [store]: invalid`},
		{"[store]\nflush = \"30s\"", `cairn.toml:2: "store.flush" is a table, write [store.flush]: invalid`},
		{"[node]\nname = \"x\"", `cairn.toml:1: "node" is a list of tables, write [[node]]: invalid`},
		{"[[s3]]\nlisten = \"x\"", `cairn.toml:1: "s3" is a table, write [s3]: invalid`},
		{"node = []", `cairn.toml:1: "node" is a list of tables, write [[node]]: invalid`},

		{"memory = \"256\"", `cairn.toml:1: memory: size "256": write it with a unit, such as "20GiB" or "900G": invalid`},
		{"\nmemory = \"256Mb\"", `cairn.toml:2: memory: size "256Mb": unit "Mb" is none of B, KiB, MiB, GiB, TiB, PiB (powers of 1024), K, M, G, T, P (powers of 1000), such as "20GiB" or "900G": invalid`},
		{"[store]\nflush = { max = \"soon\" }", `cairn.toml:2: store.flush.max: duration "soon": write a number and a unit (ms, s, m, h, d), such as "30s", "10m" or "7d": invalid`},
		{"[stage]\nsettle = \"10 min\"", `cairn.toml:2: stage.settle: duration "10 min": write a number and a unit (ms, s, m, h, d), such as "30s", "10m" or "7d": invalid`},
		{"[store]\ncoding = \"7\"", `cairn.toml:2: store.coding: or "auto": coding "7": write it as k+m, such as 4+3: invalid`},
		{"dir = ", `cairn.toml:1: `},
		{"dir = \"/a\"\ndir = \"/b\"", `cairn.toml:2: key dir is already defined: invalid`},

		{"dir = \"cairn\"\nidentity = \"/i\"\n[cache]\ndir = \"/c\"\n[admin]\nsocket = \"/s\"", `cairn.toml: dir: "cairn" is not an absolute path: invalid`},
		{"identity = \"/nix/store/abc/identity\"", `cairn.toml: identity: /nix/store/abc/identity is under /nix/store, which everyone can read: keep it elsewhere, such as /run/secrets: invalid`},
		{"memory = \"1MiB\"", `cairn.toml: memory: "1MiB": from "32MiB" to "1PiB" is possible: invalid`},
		{"[s3]\nlisten = \"9000\"", `cairn.toml: s3.listen: "9000": write host:port such as "127.0.0.1:9000", or "unix:/run/cairn/s3.sock": invalid`},
		{"[s3]\nlisten = \"127.0.0.1:http\"", `cairn.toml: s3.listen: "127.0.0.1:http": write host:port`},
		{"[s3]\npublic_url = \"cache.example.org\"", `cairn.toml: s3.public_url: "cache.example.org": write scheme and host only, such as "https://cache.example.org": invalid`},
		{"[s3]\ndomains = \"s3.example.org\"", `cairn.toml:2: "s3.domains" is a list of strings, write domains = ["..."]: invalid`},
		{"[s3]\ndomains = [\"a.b\", 5]", `cairn.toml:2: "s3.domains" is a list of strings, write domains = ["..."]: invalid`},
		{"[s3]\nlisten = [\":1\"]", `cairn.toml:2: "s3.listen" is a string, write listen = "...": invalid`},
		{"[s3]\ndomains = [\"s3.example.org:443\"]", `cairn.toml: s3.domains: "s3.example.org:443": write the name alone, without scheme and port, such as "s3.example.org": invalid`},
		{"[s3]\ndomains = [\"*.s3.example.org\"]", `cairn.toml: s3.domains: "*.s3.example.org": write a name in lower case, without "*.", such as "s3.example.org": invalid`},
		{"[s3]\ndomains = [\"10.0.0.1\"]", `cairn.toml: s3.domains: "10.0.0.1": an address has no names below it, write a domain such as "s3.example.org": invalid`},
		{"[s3]\ntrust_proxy = [\"10.0.0.0/33\"]", `cairn.toml: s3.trust_proxy: "10.0.0.0/33": write an address such as "127.0.0.1", a network such as "10.0.0.0/8", or "unix": invalid`},
		{"[s3]\ntrust_proxy = [\"10.0.0.1/8\"]", `cairn.toml: s3.trust_proxy: "10.0.0.1/8": the network is "10.0.0.0/8", the address "10.0.0.1": invalid`},
		{"[s3]\naccess_log = \"on\"", `cairn.toml: s3.access_log: "on": it can be "errors", "all" or "off": invalid`},
		{"[s3]\ninsecure_basic = \"yes\"", `cairn.toml:2: "s3.insecure_basic" is true or false, write insecure_basic = true: invalid`},
		{"[s3]\ntls = true", `cairn.toml:2: "s3.tls" is a table, write [s3.tls]: invalid`},
		{"[s3.tls]\ncert = \"/c\"", `cairn.toml: s3.tls.key: is missing beside s3.tls.cert: invalid`},
		{"[s3.tls]\nkey = \"/k\"", `cairn.toml: s3.tls.cert: is missing beside s3.tls.key: invalid`},
		{"[s3.tls]\ncert = \"/c\"\nkey = \"/nix/store/k\"", `cairn.toml: s3.tls.key: /nix/store/k is under /nix/store, which everyone can read: keep it elsewhere, such as /run/secrets: invalid`},
		{"[s3.tls]\ncert = \"c\"\nkey = \"/k\"", `cairn.toml: s3.tls.cert: "c" is not an absolute path: invalid`},
		{"[s3]\nlisten = \"unix:/s\"\ntls = { cert = \"/c\", key = \"/k\" }", `cairn.toml: s3.tls: a unix socket is served without TLS: the proxy in front of it has the certificate: invalid`},
		{"[admin]\nlisten = \"127.0.0.1:9000\"", `cairn.toml: admin.listen: "127.0.0.1:9000" is taken by s3.listen: invalid`},
		{"[store]\nflush = { max = \"1ms\" }", `cairn.toml: store.flush.max: "1ms": from "100ms" to "1d" is possible: invalid`},
		{"[store]\ncoding = \"30+3\"", `cairn.toml:2: store.coding: or "auto": coding 30+3: needs k >= 1, m >= 0 and at most 32 shards: invalid`},
		{sftp, "cairn.toml: node carol: host_key: an sftp node needs its host key pinned"},
		{sftp + "host_key = \"SHA256:abc\"", `cairn.toml: node carol: host_key: "SHA256:abc": write "SHA256:" and 43 characters, as ssh-keygen -l prints it: invalid`},
		{"[[node]]\nname = \"a\"\nremote = \"sftp://u:hunter2@h/p\"\n", "cairn.toml: node a: remote: a password does not belong in the address: use password_file: invalid\ncairn.toml: node a: host_key: an sftp node"},
		{"[[node]]\nname = \"a\"\nremote = \"/srv\"", `cairn.toml: node a: remote: "/srv" is no address: write "sftp://user@host:port/path", "local:/path" or an rclone remote "name:path": invalid`},
		{"[[node]]\nremote = \"local:/x\"", `cairn.toml: node 1: name: "": use 1 to 63 of a-z, 0-9 and hyphens: invalid`},
		{"[[node]]\nname = \"a\"\nremote = \"local:/x\"\n[[node]]\nname = \"a\"\nremote = \"local:/y\"", `cairn.toml: node a: two nodes have this name: invalid`},
		{"[store]\nack = \"stagd\"", `cairn.toml:2: store.ack: "stagd": write "staged" or "spread": invalid`},
		{"[store]\ncheckpoint = \"1s\"", `cairn.toml: store.checkpoint: "1s": from "1m" to "7d" is possible: invalid`},
		{"kit = \"kit.age\"", `cairn.toml: kit: "kit.age" is not an absolute path: invalid`},
		{"kit = \"/var/lib/cairn/kit.age\"", `cairn.toml: kit: /var/lib/cairn/kit.age lies below dir, and would be lost with it: put it where it is backed up: invalid`},
		{"[keep]\nname = \"a\"", `cairn.toml:1: "keep" is a list of tables, write [[keep]]: invalid`},
		{"[[keep]]\nname = \"a\"\nkeep = \"3\"", `cairn.toml:3: "keep.keep" is a number, write keep = 3: invalid`},
		{"[[keep]]\nname = \"a\"", `cairn.toml: keep a: write command = ["PROGRAM", "ARGUMENT"], or file = "/PATH": invalid`},
		{"[[keep]]\nname = \"a\"\ncommand = \"pg_dump\"", `cairn.toml:3: "keep.command" is a list of strings, write command = ["..."]: invalid`},
		{"[[keep]]\nname = \"a\"\ncommand = [\"x\"]\nfile = \"/x\"", `cairn.toml: keep a: command and file are both there: keep one: invalid`},
		{"[[keep]]\nname = \"a b\"\nfile = \"x\"", "cairn.toml: keep a b: name: \"a b\": use 1 to 63 of a-z, 0-9 and hyphens: invalid\ncairn.toml: keep a b: file: \"x\" is not an absolute path: invalid"},
		{"[[keep]]\nname = \"a\"\nfile = \"/x\"\nkeep = -1\nevery = \"1s\"", "cairn.toml: keep a: every: \"1s\": from \"1m\" to \"90d\" is possible: invalid\ncairn.toml: keep a: keep: -1: from 1 to 1000 is possible: invalid"},
		{"[[keep]]\nname = \"a\"\nfile = \"/x\"\n[[keep]]\nname = \"a\"\nfile = \"/y\"", `cairn.toml: keep a: two tables have this name: invalid`},
		{"[[bucket]]\nname = \"My_Bucket\"", `cairn.toml: bucket My_Bucket: bucket name "My_Bucket": use a-z, 0-9, hyphens and single dots: invalid`},
	} {
		_, err := Parse("cairn.toml", []byte(c.text))
		switch {
		case !errors.Is(err, cairn.ErrInvalid):
			t.Errorf("%q: error %v, want ErrInvalid", c.text, err)
		case err.Error() != c.want && (strings.HasSuffix(c.want, ": invalid") || !strings.HasPrefix(err.Error(), c.want)):
			t.Errorf("%q:\ngot  %s\nwant %s", c.text, err, c.want)
		case strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%q: the error repeats a password: %v", c.text, err)
		}
	}
}

func TestShowMarksDefaultsAndReadsBack(t *testing.T) {
	c, err := Parse("cairn.toml", []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.Show(&out); err != nil {
		t.Fatal(err)
	}
	again, err := Parse("shown", out.Bytes())
	if err != nil || !reflect.DeepEqual(again, c) {
		t.Errorf("reads back as %+v, %v, from\n%s", again, err, out.String())
	}
	for _, line := range []string{
		"dir = \"/srv/cairn\"\n", "limit = \"20GiB\"  # default\n", "settle = \"5m\"\n", "flush = { max = \"1m\" }\n",
		"operator = \"carol\"  # default\n", "capacity = \"900G\"\n", "public = true\n", "memory = \"1536MiB\"\n",
		"domains = [\"s3.example.org\", \"s3.lan\"]\n", "insecure_basic = true\n", "[s3.tls]\n", "cert = \"\"  # default\n",
		"ack = \"spread\"\n", "command = [\"pg_dump\", \"--format=custom\", \"attic\"]\n", "every = \"1h\"  # default\n", "keep = 24\n", "keep = 3  # default\n",
	} {
		if !strings.Contains(out.String(), "\n"+line) {
			t.Errorf("no line %q in\n%s", line, out.String())
		}
	}
	out.Reset()
	if err := Default().Show(&out); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, "=") && !strings.HasSuffix(line, "  # default\n") {
			t.Errorf("not marked as default: %s", line)
		}
	}
}

func TestEveryKeyIsDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		if f, ok := node.(*ast.Field); ok && f.Tag != nil {
			n++
			if f.Doc == nil && f.Comment == nil {
				t.Errorf("%s has no comment", f.Names[0])
			}
		}
		return true
	})
	if n != len(keys()) {
		t.Errorf("%d fields in config.go, %d keys", n, len(keys()))
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "cairn.toml")
	if _, err := Load(path); !errors.Is(err, cairn.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Load(dir); !errors.Is(err, cairn.ErrInvalid) {
		t.Errorf("a folder: %v", err)
	}
	write(t, path, strings.Repeat("#", maxFile+1), 0o600)
	if _, err := Load(path); !errors.Is(err, cairn.ErrInvalid) {
		t.Errorf("a huge file: %v", err)
	}
	write(t, path, full, 0o600)
	if c, err := Load(path); err != nil || c.Dir != "/srv/cairn" {
		t.Errorf("%+v, %v", c, err)
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
}

// FuzzParse: what is accepted is checked, shows as TOML, and reads back the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte("memory = \"64MiB\"\n[[node]]\nname = 'a'\nremote = 'local:/\\u00e9'\nsite = \"\\u0001\""))
	f.Add([]byte("store.flush.max = \"2s\"\ns3 = { listen = \":0\", region = \"any\", domains = [], trust_proxy = ['::1'], tls = { cert = '/c', key = '/k' } }"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("fuzz", text)
		if err != nil {
			if !errors.Is(err, cairn.ErrInvalid) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		var out bytes.Buffer
		if err := c.Show(&out); err != nil {
			t.Fatal(err)
		}
		again, err := Parse("shown", out.Bytes())
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%+v shows as\n%s\nand reads back as %+v, %v", c, out.String(), again, err)
		}
	})
}

// TestZeroIsNeverTakenForUnset: every size, duration and number of the file is
// either refused when it is zero, with a word that says what to write, or means
// just that.
func TestZeroIsNeverTakenForUnset(t *testing.T) {
	means := map[string]func(Config) bool{
		"stage.settle": func(c Config) bool { return c.Stage.Settle == 0 },
		"cache.limit":  func(c Config) bool { return c.Cache.Limit == 0 },
		"cache.memory": func(c Config) bool { return c.Cache.Memory == 0 },
	}
	tried := 0
	for _, k := range keys() {
		zero, ok := map[shape]string{aSize: `"0B"`, aDuration: `"0s"`, aNumber: "0"}[k.shape]
		if k.key == "node.traffic" || k.key == "node.hours" {
			zero, ok = `"0"`, true
		}
		if !ok {
			continue
		}
		tried++
		list, key, inList := strings.Cut(k.key, ".")
		text := k.key + " = " + zero
		switch {
		case inList && list == "node":
			text = "[[node]]\nname = \"a\"\nremote = \"local:/a\"\n" + key + " = " + zero
		case inList && list == "keep":
			text = "[[keep]]\nname = \"a\"\nfile = \"/a\"\n" + key + " = " + zero
		}
		c, err := Parse("cairn.toml", []byte(text))
		is := means[k.key]
		switch {
		case is == nil && (err == nil || !errors.Is(err, cairn.ErrInvalid)):
			t.Errorf("%s of zero is taken, for what? %v", k.key, err)
		case is == nil && !strings.Contains(err.Error(), key):
			t.Errorf("%s of zero: the key is not named: %v", k.key, err)
		case is != nil && (err != nil || !is(c)):
			t.Errorf("%s of zero: %v, %+v", k.key, err, c)
		}
	}
	if tried < 14 {
		t.Errorf("only %d keys have a zero", tried)
	}
}

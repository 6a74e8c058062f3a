package integration

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// secret is one thing that may stand nowhere but where it belongs.
type secret struct {
	name  string
	bytes []byte
}

// forms are the spellings in which a secret would be one.
func (s secret) forms() map[string][]byte {
	return map[string][]byte{"as it is": s.bytes, "in hex": []byte(hex.EncodeToString(s.bytes)),
		"in base64": []byte(strings.TrimRight(base64.StdEncoding.EncodeToString(s.bytes), "=")), "in URL base64": []byte(strings.TrimRight(base64.URLEncoding.EncodeToString(s.bytes), "="))}
}

// tells lists the secrets that b gives away.
func tells(b []byte, secrets []secret) (out []string) {
	for _, s := range secrets {
		for form, text := range s.forms() {
			if bytes.Contains(b, text) {
				out = append(out, s.name+", "+form)
			}
		}
	}
	return out
}

// identitySecrets are the lines of an identity file that are secret, decoded
// where they are hex.
func identitySecrets(t *testing.T, file string) []secret {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	var out []secret
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) != 2 {
			continue
		}
		switch words[0] {
		case "age":
			out = append(out, secret{filepath.Base(file) + ": age", []byte(words[1])})
		case "sign", "ssh":
			b, err := hex.DecodeString(words[1])
			must(t, err)
			out = append(out, secret{filepath.Base(file) + ": " + words[0], b})
		}
	}
	if len(out) != 3 {
		t.Fatalf("%s: %d secrets, want 3", file, len(out))
	}
	return out
}

// someOwner is an age recipient; nobody here has its key.
const someOwner = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

// TestHazardB18NothingSecretIsTold runs a gateway through its day with everything
// logged, reads whatever it says anywhere and every file it writes, on this
// machine and on nodes, and finds no secret outside of its own file: not the
// key of an S3 client, not the identities, not a password of a node, and no
// content or name of an object on a node, nor the output of a command whose
// state is kept. Keys are rotated and handed to another owner meanwhile, and the
// gateway is recovered into another directory at the end. Nor does it leave core
// files.
func TestHazardB18NothingSecretIsTold(t *testing.T) {
	ctx := t.Context()
	free, watch := freePort(t), freePort(t)
	root := t.TempDir()
	m := &machine{t, ctx, program(t), filepath.Join(root, "state"), filepath.Join(root, "cairn.toml")}
	must(t, os.WriteFile(m.config, fmt.Appendf(nil, "dir = %q\n[admin]\nlisten = \"127.0.0.1:%s\"\n[s3]\nlisten = \"127.0.0.1:%s\"\naccess_log = \"all\"\n[stage]\nsettle = \"1s\"\n[[keep]]\nname = \"dump\"\ncommand = [\"cat\", %q]\n",
		m.dir, watch, free, filepath.Join(root, "dump")), 0o600))
	text, err := os.ReadFile(m.config)
	must(t, err)
	kit := filepath.Join(root, "kit.age")
	must(t, os.WriteFile(m.config, append(fmt.Appendf(nil, "kit = %q\n", kit), text...), 0o600))
	const dump, password = "what the database says of its users", "the password of a node"
	must(t, os.WriteFile(filepath.Join(root, "dump"), []byte(dump), 0o600))
	must(t, os.WriteFile(filepath.Join(root, "password"), []byte(password+"\n"), 0o600))
	said := map[string][]byte{}
	run := func(words ...string) Result {
		t.Helper()
		r := m.run(words...)
		said[fmt.Sprintf("%d: cairn %s", len(said), strings.Join(words, " "))] = []byte(r.Stdout + r.Stderr)
		return r
	}
	do := func(words ...string) Result {
		t.Helper()
		r := run(words...)
		if r.Status != 0 {
			t.Fatalf("%v: %+v", words, r)
		}
		return r
	}
	do("init", "--owner", filepath.Join(root, "owner.txt"))
	identity := filepath.Join(m.dir, "identity")
	secrets := append(identitySecrets(t, identity), identitySecrets(t, filepath.Join(root, "owner.txt"))...)
	for i := range 3 {
		must(t, os.Mkdir(filepath.Join(root, fmt.Sprint("node", i)), 0o700))
		do("node", "add", "local:"+filepath.Join(root, fmt.Sprint("node", i)), "--name", fmt.Sprint("n", i), "--operator", fmt.Sprint("o", i))
	}
	do("bucket", "create", "talk")
	var key struct{ ID, Secret string }
	created := m.run("access", "create", "--write", "talk", "--json") // it tells the secret, once
	if err := json.Unmarshal([]byte(created.Stdout), &key); err != nil || len(key.Secret) < 20 {
		t.Fatalf("access create: %+v, %v", created, err)
	}
	secrets = append(secrets, secret{"S3 secret", []byte(key.Secret)}, secret{"kept state", []byte(dump)}, secret{"password of a node", []byte(password)})

	if n := len(tells([]byte(created.Stdout), secrets)); n != 1 {
		t.Fatalf("%d secrets found where one stands", n)
	}
	if text, err := os.ReadFile(identity); err != nil || len(tells(text, secrets)) < 3 {
		t.Fatalf("the identity file tells %q, %v", tells(text, secrets), err)
	}

	log := &bytes.Buffer{}
	cmd := exec.Command(m.bin, "serve", "--config", m.config, "--log", "debug")
	cmd.Stdout, cmd.Stderr = log, log
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop := func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
			t.Error("serve did not end")
		}
	}
	eventually(t, ctx, "the gateway listens", func(ctx context.Context) error {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+free)
		if err == nil {
			err = c.Close()
		}
		return err
	})
	client := NewClient("http://127.0.0.1:"+free, "talk", Keys{Access: key.ID, Region: "us-east-1", Secret: key.Secret}, 2)
	body := bytes.Repeat([]byte("what nobody may read on a node, ever. "), 3000)
	const name = "a-name-that-no-node-may-learn"
	must(t, client.Put(ctx, name, body))
	got, err := client.Get(ctx, name)
	must(t, err)
	if !bytes.Equal(got, body) {
		t.Fatal("other bytes")
	}
	wrong := NewClient("http://127.0.0.1:"+free, "talk", Keys{Access: key.ID, Region: "us-east-1", Secret: "x" + key.Secret[1:]}, 1)
	if _, err := wrong.Get(ctx, name); Status(err) != http.StatusForbidden {
		t.Errorf("a wrong secret: %v", err)
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
	must(t, err)
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", cmd.Process.Pid))
	must(t, err)
	said["ps"], said["environment"] = line, env
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid))
	must(t, err)
	if core := regexp.MustCompile(`(?m)^Max core file size +(\S+)`).FindSubmatch(limits); core == nil || string(core[1]) != "0" {
		t.Errorf("the gateway may leave core files: %s", core)
	}
	eventually(t, ctx, "the state of others is kept", func(context.Context) error {
		if r := run("status", "--json"); !strings.Contains(r.Stdout, `"name":"dump"`) {
			return fmt.Errorf("%.300s", r.Stdout)
		}
		return nil
	})
	for _, words := range [][]string{{"flush"}, {"status"}, {"status", "--json"}, {"access", "list"}, {"access", "list", "--json"}, {"node", "list"}, {"node", "list", "--json"}, {"bucket", "list"},
		{"locate", "talk/" + name}, {"config", "show"}, {"config", "check"}} {
		do(words...)
	}
	run("node", "add", "sftp://nobody@127.0.0.1:1/x", "--operator", "o9", "--yes") // it fails, and says why
	run("node", "add", "sftp://nobody@127.0.0.1:1/x", "--operator", "o9", "--host-key", "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "--password-file", filepath.Join(root, "password"))
	do("key", "kit", "--out", filepath.Join(root, "another-kit.age"))
	do("key", "recipients", "add", someOwner)
	do("key", "recipients", "list", "--json")
	do("key", "recipients", "remove", someOwner)
	do("key", "rotate")
	do("flush")
	for _, page := range []string{"/metrics", "/api/status", "/healthz", "/"} {
		answer, err := http.Get("http://127.0.0.1:" + watch + page)
		must(t, err)
		b, err := io.ReadAll(answer.Body)
		must(t, err)
		_ = answer.Body.Close()
		said["admin listener "+page] = b
	}
	stop()
	said["log of serve"] = log.Bytes()
	if log.Len() == 0 {
		t.Error("serve --log debug says nothing")
	}

	// The machine burns, and another one takes over: first as an exercise, then
	// with a wrong identity, then in earnest.
	must(t, os.RemoveAll(filepath.Join(m.dir, "stage")))
	must(t, os.RemoveAll(filepath.Join(m.dir, "index")))
	next := filepath.Join(root, "next.toml")
	must(t, os.WriteFile(next, fmt.Appendf(nil, "dir = %q\n[cache]\nlimit = \"0B\"\n", filepath.Join(root, "next")), 0o600))
	m.config = next
	back := []string{"recover", "--kit", kit, "--identity", filepath.Join(root, "owner.txt"), "--log", "debug"}
	do(append(back, "--rehearse")...)
	if r := run("recover", "--kit", kit, "--identity", filepath.Join(root, "password")); r.Status == 0 {
		t.Error("a password recovers the store")
	}
	do(append(back, "--takeover", "--json")...)
	successor := filepath.Join(root, "next", "identity")
	secrets = append(secrets, identitySecrets(t, successor)...)
	kept := filepath.Join(root, "next", "kept", "dump")
	if b, err := os.ReadFile(kept); err != nil || string(b) != dump {
		t.Errorf("kept: %q, %v", b, err)
	}

	own := map[string]bool{identity: true, successor: true, kept: true, filepath.Join(root, "owner.txt"): true, filepath.Join(root, "dump"): true, filepath.Join(root, "password"): true}
	where := map[string][]byte{}
	nodes := 0
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || own[path] {
			return err
		}
		b, err := os.ReadFile(path)
		where["file "+strings.TrimPrefix(path, root+"/")] = b
		if strings.Contains(path, "/packs/") {
			nodes++
		}
		return err
	}))
	if nodes == 0 {
		t.Error("no shard on any node: nothing was looked at")
	}
	for at, b := range said {
		where[at] = b
	}
	for at, b := range where {
		for _, s := range tells(b, secrets) {
			t.Errorf("%s tells a secret: %s", at, s)
		}
		if !strings.HasPrefix(at, "file node") {
			continue
		}
		for _, private := range []string{name, "what nobody may read", "talk", key.ID} {
			if bytes.Contains(b, []byte(private)) {
				t.Errorf("%s tells %q", at, private)
			}
		}
	}
	t.Logf("%d files and %d texts looked at for %d secrets in 4 spellings", len(where)-len(said), len(said), len(secrets))
}

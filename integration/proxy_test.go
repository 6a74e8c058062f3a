package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// proxied is a gateway on a unix socket, a proxy with TLS before it that runs
// with the file from examples/, and an access key as `access create` prints it.
type proxied struct {
	*Demo // for its endpoint, that of the proxy, its bucket and the key
	ca    *CA
	netrc string // as it was printed
	stage string // the gateway's folder
}

// proxyPrograms are how each proxy is set up with its example: what is replaced
// in it are names, ports and paths, and what a test must not do to the machine.
var proxyPrograms = []struct {
	name, example string
	replace       func(dir, port string) []string // pairs
	around        func(dir, user string) (before, after string)
	args          func(file string) []string
}{
	{
		"nginx", "nginx/cairn.conf",
		func(dir, port string) []string {
			return []string{
				"/run/cairn/s3.sock", dir + "/s3.sock", "listen 443", "listen 127.0.0.1:" + port, "    listen [::]:443 ssl http2;\n", "", "cache.example.org;", "localhost;",
				"/etc/letsencrypt/live/cache.example.org/fullchain.pem", dir + "/cert.pem", "/etc/letsencrypt/live/cache.example.org/privkey.pem", dir + "/key.pem",
			}
		},
		func(dir, user string) (string, string) {
			return fmt.Sprintf("daemon off; %s pid %s/pid; error_log stderr warn; events {} http { access_log off; client_body_temp_path %[2]s/t1; proxy_temp_path %[2]s/t2; fastcgi_temp_path %[2]s/t3; uwsgi_temp_path %[2]s/t4; scgi_temp_path %[2]s/t5;\n",
				user, dir), "}\n"
		},
		func(file string) []string { return []string{"-c", file, "-e", "stderr"} },
	},
	{
		"caddy", "caddy/Caddyfile",
		func(dir, port string) []string {
			return []string{
				"/run/cairn/s3.sock", dir + "/s3.sock",
				"cache.example.org {", "https://localhost:" + port + " {\n\tbind 127.0.0.1\n\ttls " + dir + "/cert.pem " + dir + "/key.pem",
			}
		},
		func(string, string) (string, string) {
			return "{\n\tadmin off\n\tauto_https disable_redirects\n}\n", ""
		},
		func(file string) []string { return []string{"run", "--adapter", "caddyfile", "--config", file} },
	},
}

// TestBehindAProxy: everything that clients sign, stream and resume works with
// the proxies' configuration as it stands in examples/.
func TestBehindAProxy(t *testing.T) {
	program(t)
	for _, p := range proxyPrograms {
		t.Run(p.name, func(t *testing.T) {
			bin, err := proxyBinary(p.name)
			if err != nil {
				t.Skipf("there is no %s here: ./test installs Debian's where it can", p.name)
			}
			ctx := limit(t, 3*time.Minute)
			dir, err := os.MkdirTemp("", "cairn") // short: sockets have short names
			must(t, err)
			t.Cleanup(func() { os.RemoveAll(dir) })
			port := freePort(t)
			px := newProxied(t, ctx, dir, port)

			example, err := os.ReadFile(filepath.Join("..", "examples", p.example))
			must(t, err)
			text := string(example)
			pairs := p.replace(dir, port)
			for i := 0; i < len(pairs); i += 2 {
				if !strings.Contains(text, pairs[i]) {
					t.Fatalf("%s does not have %q", p.example, pairs[i])
				}
				text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
			}
			user := ""
			if os.Getuid() == 0 {
				user = "user root;" // the folders of tests are their owner's
			}
			before, after := p.around(dir, user)
			file := filepath.Join(dir, "proxy.conf")
			must(t, os.WriteFile(file, []byte(before+text+after), 0o600))
			cmd := exec.Command(bin, p.args(file)...)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
			background(t, cmd)
			eventually(t, ctx, p.name+" answers", func(ctx context.Context) error {
				c, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+port)
				if err == nil {
					err = c.Close()
				}
				return err
			})
			t.Run("objects", func(t *testing.T) { px.objects(t, ctx) })
			t.Run("refusals", func(t *testing.T) { px.refusals(t, ctx) })
			t.Run("aws-cli", func(t *testing.T) { px.aws(t, ctx) })
			t.Run("Nix", func(t *testing.T) { px.nix(t, ctx) })
		})
	}
}

func proxyBinary(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name) // not on everybody's PATH
	}
	return path, err
}

// newProxied starts a gateway with two nodes on dir's socket.
func newProxied(t *testing.T, ctx context.Context, dir, port string) *proxied {
	t.Helper()
	ca, err := NewCA(dir)
	must(t, err)
	_, _, err = ca.Issue(1, "localhost")
	must(t, err)
	url := "https://localhost:" + port
	m := &machine{t, ctx, program(t), filepath.Join(dir, "state"), filepath.Join(dir, "cairn.toml")}
	m.write(fmt.Sprintf("[s3]\nlisten = \"unix:%s/s3.sock\"\npublic_url = %q\ntrust_proxy = [\"unix\"]\n", dir, url))
	for _, words := range [][]string{{"init"}, {"bucket", "create", nixBucket, "--public"}} {
		if r := m.run(words...); r.Status != 0 {
			t.Fatalf("%v: %+v", words, r)
		}
	}
	m.addLocal("one")
	m.addLocal("two")
	r := m.run("access", "create", "--write", nixBucket, "--json")
	var key struct {
		ID, Secret string
		Paste      struct{ Netrc string }
	}
	if err := json.Unmarshal([]byte(r.Stdout), &key); err != nil || key.Secret == "" {
		t.Fatalf("access create: %+v, %v", r, err)
	}
	background(t, exec.Command(m.bin, "serve", "--config", m.config, "--log", "warn"))
	eventually(t, ctx, "the gateway serves", func(ctx context.Context) error {
		c, err := new(net.Dialer).DialContext(ctx, "unix", dir+"/s3.sock")
		if err == nil {
			err = c.Close()
		}
		return err
	})
	return &proxied{&Demo{Info: Info{Endpoint: url, Region: "us-east-1", AccessKey: key.ID, SecretKey: key.Secret, Bucket: nixBucket}}, ca, key.Paste.Netrc, filepath.Join(m.dir, "stage")}
}

// background runs a program until the end of the test.
func background(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	said := &tail{}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 10 * time.Second
	must(t, cmd.Start())
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("%s ended by itself: %v", filepath.Base(cmd.Path), err)
		}
		late := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		err := cmd.Wait()
		var exit *exec.ExitError
		if err != nil && (!errors.As(err, &exit) || exit.ExitCode() > 0) || t.Failed() {
			t.Logf("%s: %v; it said:\n%s", filepath.Base(cmd.Path), err, said)
		}
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	must(t, err)
	return port
}

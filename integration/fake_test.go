package integration

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// fake is an S3 endpoint over a directory with the conversation of `cairn demo
// --json`. It exists to test the tests: -fault makes it break a promise, which
// they must notice.
type fake struct {
	dir   string
	fault string
	keys  Keys

	mu   sync.Mutex
	dead map[int]bool // guarded by mu
	puts int          // guarded by mu
}

const fakeBucket = "demo"

func fakeDemo(args []string) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.Bool("json", false, "")
	flags.Duration("sync-delay", 0, "")
	dir := flags.String("dir", "", "")
	fault := flags.String("fault", os.Getenv("FAKE_FAULT"), "")
	if flags.Parse(args) != nil {
		return 2
	}
	if *dir == "" {
		made, err := os.MkdirTemp("", "fake-demo-")
		if err != nil {
			return 1
		}
		defer os.RemoveAll(made)
		*dir = made
	}
	f := &fake{dir: *dir, fault: *fault, keys: Keys{"AK", "SK", "us-east-1"}, dead: map[int]bool{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 1
	}
	address := "http://" + listener.Addr().String()
	info := Info{Endpoint: address, Region: f.keys.Region, AccessKey: f.keys.Access, SecretKey: f.keys.Secret, Bucket: fakeBucket, Admin: address + "/-admin", Dir: *dir}
	if err := os.MkdirAll(f.objects(), 0o700); err != nil {
		return 1
	}
	for i := range 7 {
		n := Node{Name: fmt.Sprintf("n%d", i+1), Operator: fmt.Sprintf("op%d", i+1), Dir: filepath.Join(*dir, fmt.Sprintf("n%d", i+1))}
		if err := os.MkdirAll(filepath.Join(n.Dir, "packs/00/00/00/00"), 0o700); err != nil {
			return 1
		}
		if err := os.WriteFile(filepath.Join(n.Dir, "packs/00/00/00/00/pack"), []byte("x"), 0o600); err != nil {
			return 1
		}
		info.Nodes = append(info.Nodes, n)
	}
	go http.Serve(listener, f)
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	go func() {
		<-terminated
		os.Exit(0)
	}()
	json.NewEncoder(os.Stdout).Encode(info)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(f.command(in.Text()))
	}
	return 0
}

func (f *fake) objects() string { return filepath.Join(f.dir, "objects") }

func (f *fake) command(line string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	words := strings.Fields(line)
	n := 0
	if len(words) > 1 {
		n, _ = strconv.Atoi(words[1])
	}
	switch words[0] {
	case "kill":
		f.dead[n] = true
	case "revive":
		delete(f.dead, n)
	case "lie", "slow", "flush", "verify", "load":
	default:
		return fmt.Sprintf(`{"error": "no command %q"}`, words[0])
	}
	return fmt.Sprintf(`{"command": %q}`, line)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, code string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
	}
	f.mu.Lock()
	down := len(f.dead) > 3
	f.puts++
	puts := f.puts
	f.mu.Unlock()
	if r.URL.Path == "/-admin/api/status" {
		fmt.Fprint(w, `{"state":"ok","objects":1,"packs":1,"staged_bytes":0,"fsyncs":0}`)
		return
	}
	if !f.authentic(r) {
		fail(403, "SignatureDoesNotMatch")
		return
	}
	key, ok := strings.CutPrefix(r.URL.Path, "/"+fakeBucket+"/")
	if len(key) > 1024 {
		fail(400, "KeyTooLongError")
		return
	}
	file := filepath.Join(f.objects(), url.PathEscape(key))
	switch {
	case !ok || key == "":
		f.list(w, r)
	case r.Method == http.MethodPut:
		if r.ContentLength == 0 && r.Header.Get("Expect") == "100-continue" {
			// net/http says 100 only to who sends a body. botocore then takes the
			// 200 for early and misreads the next answer on the connection.
			w.WriteHeader(http.StatusContinue)
		}
		var body io.Reader = r.Body
		if r.Header.Get("X-Amz-Decoded-Content-Length") != "" {
			body = unframe(r.Body)
		}
		data, err := io.ReadAll(body)
		if err != nil {
			fail(400, "IncompleteBody")
			return
		}
		switch {
		case f.fault == "lose" && puts%7 == 0: // acknowledged, never written
		case f.fault == "half" && puts%7 == 0:
			os.WriteFile(file, data[:len(data)/2], 0o600)
		default:
			temporary := file + ".tmp" // not a key: those end in .chunk or lie elsewhere
			os.WriteFile(temporary, data, 0o600)
			os.Rename(temporary, file)
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, md5.Sum(data)))
	case r.Method == http.MethodDelete:
		if f.fault != "undead" {
			os.Remove(file)
		}
		w.WriteHeader(204)
	case down:
		fail(503, "ServiceUnavailable")
	default:
		data, err := os.ReadFile(file)
		if err != nil {
			fail(404, "NoSuchKey")
			return
		}
		if f.fault == "flip" && puts%7 == 0 && len(data) > 0 {
			data[len(data)/2] ^= 1
		}
		w.Header().Set("ETag", `"0"`)
		http.ServeContent(w, r, "", time.Unix(1e9, 0), bytes.NewReader(data))
	}
}

// authentic signs the request again with our own signer, which sign_test.go
// holds against a published vector.
func (f *fake) authentic(r *http.Request) bool {
	sent := r.Header.Get("Authorization")
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || time.Since(at).Abs() > 15*time.Minute {
		return false
	}
	_, names, _ := strings.Cut(sent, "SignedHeaders=")
	names, _, _ = strings.Cut(names, ",")
	again := &http.Request{Method: r.Method, URL: r.URL, Host: r.Host, Header: http.Header{}}
	for _, name := range strings.Split(names, ";") {
		switch name {
		case "host":
		case "content-length":
			again.Header.Set(name, strconv.FormatInt(r.ContentLength, 10))
		default:
			again.Header.Set(name, r.Header.Get(name))
		}
	}
	f.keys.Sign(again, r.Header.Get("X-Amz-Content-Sha256"), at)
	want := again.Header.Get("Authorization")
	return sent != "" && sent[strings.LastIndex(sent, "=")+1:] == want[strings.LastIndex(want, "=")+1:]
}

func (f *fake) list(w http.ResponseWriter, r *http.Request) {
	entries, _ := os.ReadDir(f.objects())
	type content struct {
		Key          string
		Size         int64
		ETag         string
		LastModified string
	}
	answer := struct {
		XMLName      xml.Name `xml:"ListBucketResult"`
		IsTruncated  bool
		EncodingType string `xml:",omitempty"`
		Contents     []content
	}{EncodingType: r.URL.Query().Get("encoding-type")}
	for _, e := range entries {
		key, _ := url.PathUnescape(e.Name())
		info, err := e.Info()
		if err != nil || !strings.HasPrefix(key, r.URL.Query().Get("prefix")) || strings.HasSuffix(e.Name(), ".tmp") {
			continue
		}
		if answer.EncodingType == "url" {
			key = url.QueryEscape(key)
		}
		answer.Contents = append(answer.Contents, content{key, info.Size(), `"0"`, "2026-01-01T00:00:00Z"})
	}
	sort.Slice(answer.Contents, func(i, j int) bool { return answer.Contents[i].Key < answer.Contents[j].Key })
	xml.NewEncoder(w).Encode(answer)
}

// unframe takes aws-chunked framing off; signatures of chunks are not looked at.
func unframe(r io.Reader) io.Reader {
	in := bufio.NewReader(r)
	out, to := io.Pipe()
	go func() {
		for {
			line, err := in.ReadString('\n')
			size, _, _ := strings.Cut(strings.TrimSpace(line), ";")
			n, bad := strconv.ParseInt(size, 16, 64)
			if err != nil || bad != nil {
				to.CloseWithError(io.ErrUnexpectedEOF)
				return
			}
			if n == 0 {
				to.Close()
				return
			}
			if _, err := io.CopyN(to, in, n); err != nil {
				to.CloseWithError(io.ErrUnexpectedEOF)
				return
			}
			in.Discard(2)
		}
	}()
	return out
}

package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// afternoon is a gateway and seven operators' SFTP servers, each a process of
// its own, clients that put and get all along, and what was typed.
type afternoon struct {
	*gateway
	boxes   map[string]*sshd
	bucket  *string
	objects Objects
	client  *s3.Client

	written, refused, reads, wrong atomic.Int64
	first                          atomic.Pointer[error] // of what went wrong for a client
	words                          strings.Builder
}

// afternoonStatus is what `status --json` tells, as far as this needs it.
type afternoonStatus struct {
	Staged     *int  `json:"packs_staged"`
	StageBytes int64 `json:"stage_bytes"`
	Nodes      []struct{ Name, State string }
	Durability struct {
		Missing []struct{ Packs int64 }
		MayFail int `json:"may_fail"`
	}
	Care *struct {
		Shards struct{ Away, Missing int64 }
	}
}

func (a *afternoon) put(ctx context.Context, i int) error {
	_, err := a.client.PutObject(ctx, &s3.PutObjectInput{Bucket: a.bucket, Key: aws.String(a.objects.Key(i)), Body: bytes.NewReader(a.objects.Body(i))})
	return err
}

func (a *afternoon) get(ctx context.Context, i int) error {
	out, err := a.client.GetObject(ctx, &s3.GetObjectInput{Bucket: a.bucket, Key: aws.String(a.objects.Key(i))})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	got, err := io.ReadAll(out.Body)
	if err != nil {
		return err
	}
	return compare(a.objects.Key(i), got, a.objects.Body(i))
}

// note keeps the first error of a client.
func (a *afternoon) note(count *atomic.Int64, err error) {
	if err != nil {
		count.Add(1)
		a.first.CompareAndSwap(nil, &err)
	}
}

// clients write, read and flush until the returned function is called. The
// objects before the first are there.
func (a *afternoon) clients(first int) (stop func()) {
	a.written.Store(int64(first))
	ctx, cancel := context.WithCancel(a.ctx)
	var wg sync.WaitGroup
	each := func(every time.Duration, do func(i int)) {
		wg.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for i := 0; ; i++ {
				do(i)
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	each(50*time.Millisecond, func(int) {
		i := int(a.written.Load())
		err := a.put(a.ctx, i) // not cut off: that would be no refusal
		a.note(&a.refused, err)
		if err == nil {
			a.written.Add(1)
		}
	})
	each(20*time.Millisecond, func(i int) {
		a.reads.Add(1)
		a.note(&a.wrong, a.get(a.ctx, i*7919%int(a.written.Load())))
	})
	each(200*time.Millisecond, func(int) { // packs go to nodes all the time
		if r, err := RunVerb(a.ctx, a.bin, "flush", "--config", a.config); err != nil || r.Status != 0 && r.Status != ExitUnavailable {
			a.note(&a.wrong, fmt.Errorf("flush: %+v, %w", r, err))
		}
	})
	return sync.OnceFunc(func() { cancel(); wg.Wait() })
}

// types runs a verb as a person would who repeats it where the gateway is mending
// the same packs, and keeps what was said at last.
func (a *afternoon) types(words ...string) string {
	a.t.Helper()
	var r Result
	eventually(a.t, a.ctx, strings.Join(words, " "), func(context.Context) error {
		if r = a.run(words...); r.Status != 0 {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	a.keep(r, words...)
	return r.Stdout
}

// keep keeps what a verb said.
func (a *afternoon) keep(r Result, words ...string) {
	status := ""
	if r.Status != 0 {
		status = fmt.Sprintf("    # exit status %d", r.Status)
	}
	fmt.Fprintf(&a.words, "$ cairn %s%s\n%s%s\n", strings.Join(words, " "), status, r.Stdout, r.Stderr)
}

// shows asks for the status until it says something.
func (a *afternoon) shows(says string) {
	a.t.Helper()
	eventually(a.t, a.ctx, "status says "+says, func(context.Context) error {
		r := a.run("status", "--check")
		if !strings.Contains(r.Stdout, says) {
			return fmt.Errorf("%+v", r)
		}
		a.keep(r, "status", "--check")
		return nil
	})
}

// becomes waits until the status is as it should be.
func (a *afternoon) becomes(what string, ok func(afternoonStatus) bool) {
	a.t.Helper()
	eventually(a.t, a.ctx, what, func(context.Context) error {
		if s := jsonOf[afternoonStatus](a.gateway, "status"); s.Staged == nil || s.Care == nil || !ok(s) {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}

func (a *afternoon) unstaged() {
	a.t.Helper()
	a.becomes("no pack is staged but the open one", func(s afternoonStatus) bool { return *s.Staged <= 1 })
}

// smallDisk mounts a file system of so many bytes there, and reports whether this
// machine lets it.
func smallDisk(t *testing.T, dir string, size int) bool {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Run("a full disk", func(t *testing.T) { t.Skipf("needs root, to mount a small file system: %v", err) })
		return false
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return true
}

// fills writes a file until the disk is full.
func fills(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 64<<10))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// newAfternoon is a store coded 2+2 on seven OpenSSH servers of as many operators,
// with so many packs; small tells whether each has a small disk of its own.
func newAfternoon(t *testing.T, ctx context.Context, packs int) (a *afternoon, small bool) {
	a = &afternoon{boxes: make(map[string]*sshd), bucket: aws.String("cache"), objects: Objects{seed(t)}}
	a.gateway = newGateway(t, ctx, "[store]\ncoding = \"2+2\"\n[stage]\nsettle = \"10ms\"\n[cache]\nlimit = \"0B\"\nmemory = \"0B\"\n")
	a.start()
	t.Cleanup(func() {
		a.kill()
		if t.Failed() {
			t.Logf("the gateway said:\n%s", a.said)
		}
	})
	line := jsonOf[struct {
		Key string `json:"authorized_key"`
	}](a.gateway, "node", "list").Key
	for _, name := range []string{"alice", "bob", "carol", "dora", "erik", "fay", "gina"} {
		disk := filepath.Join(filepath.Dir(a.dir), name)
		dir := filepath.Join(disk, "cairn")
		if err := os.Mkdir(disk, 0o700); err != nil {
			t.Fatal(err)
		}
		// All alike: the fuller ones would get next to nothing.
		if len(a.boxes) == 0 || small {
			small = smallDisk(t, disk, 192<<20+packs*160<<10)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		b := newSSHD(t, name, dir, line)
		a.boxes[name] = b
		a.do("node", "add", "--name", name, "--host-key", b.hostKey, "--yes", "--no-checks", b.remote())
	}
	a.do("bucket", "create", *a.bucket)
	a.client = newSDK("http://"+a.address, a.access("--write", *a.bucket))
	for i := range packs {
		if err := a.put(ctx, i); err != nil {
			t.Fatalf("put %d: %v", i, err)
		}
		a.do("flush")
	}
	a.unstaged()
	return a, small
}

package integration

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// sshd is OpenSSH's server as an operator runs it: a process on a port that
// stays, which serves a directory to the keys of one gateway.
type sshd struct {
	t       *testing.T
	name    string
	dir     string // of the node; the server itself confines nobody to it
	address string // host:port
	hostKey string // fingerprint
	user    string
	config  string // sshd_config
	stop    func() // ends the server and every session
}

// newSSHD prepares and starts a server for dir, which must exist. Without OpenSSH
// the test is skipped.
func newSSHD(t *testing.T, name, dir, authorizedKey string) *sshd {
	t.Helper()
	const program = "/usr/sbin/sshd" // it insists on an absolute path
	if _, err := os.Stat(program); err != nil {
		t.Skip("OpenSSH's sshd is not installed (apt install openssh-server)")
	}
	who, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if who.Uid == "0" {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // privilege separation wants it
			t.Skipf("sshd cannot run here: %v", err)
		}
	}
	etc := t.TempDir()
	at := func(name string) string { return filepath.Join(etc, name) }
	write := func(name, text string) {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", at("host_key")).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	told, err := exec.Command("ssh-keygen", "-l", "-E", "sha256", "-f", at("host_key.pub")).Output()
	words := strings.Fields(string(told))
	if err != nil || len(words) < 2 {
		t.Fatalf("ssh-keygen -l: %q, %v", told, err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sshd{t: t, name: name, dir: dir, address: free.Addr().String(), hostKey: words[1], user: who.Username, config: at("sshd_config")}
	free.Close()
	write("authorized_keys", authorizedKey+"\n")
	write("sshd_config", strings.Join([]string{
		"ListenAddress " + s.address, "HostKey " + at("host_key"), "AuthorizedKeysFile " + at("authorized_keys"),
		"PidFile none", "StrictModes no", "UsePAM no", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
		"PermitRootLogin yes", "MaxStartups 100", "Subsystem sftp internal-sftp", "",
	}, "\n"))
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

// remote is the node's address for `node add`.
func (s *sshd) remote() string { return fmt.Sprintf("sftp://%s@%s%s", s.user, s.address, s.dir) }

// start serves, again after stop, and returns when the server listens.
func (s *sshd) start() {
	s.t.Helper()
	cmd := exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", s.config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	listens := make(chan bool, 1)
	said := &tail{}
	var wg sync.WaitGroup
	wg.Go(func() {
		once := sync.OnceFunc(func() { listens <- true })
		for in := bufio.NewScanner(stderr); in.Scan(); {
			if strings.Contains(in.Text(), "Server listening on") {
				once()
			}
			fmt.Fprintln(said, in.Text())
		}
		close(listens)
	})
	s.stop = sync.OnceFunc(func() {
		// The listener first, so that no session begins; one that is stopped still
		// is the parent that its sessions are known by.
		_ = cmd.Process.Signal(syscall.SIGSTOP)
		for _, pid := range descendants(cmd.Process.Pid) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		_ = cmd.Process.Kill() // each may have ended, which Wait tells
		wg.Wait()              // the sessions hold stderr too: the last one has ended
		_ = cmd.Wait()
	})
	if !<-listens {
		s.stop()
		s.t.Fatalf("sshd of %s ended:\n%s", s.name, said)
	}
}

// descendants are the processes that of, or one of them, started.
func descendants(of int) (all []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // of no bad pattern
	parent := make(map[int]int)
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // ended meanwhile
		}
		var pid, ppid int
		var state string
		rest := string(text[strings.LastIndex(string(text), ")")+1:]) // a program's name may hold anything
		if _, err := fmt.Sscan(rest, &state, &ppid); err == nil {
			if _, err := fmt.Sscanf(name, "/proc/%d/stat", &pid); err == nil {
				parent[pid] = ppid
			}
		}
	}
	for known := []int{of}; len(known) > 0; known = known[1:] {
		for pid, ppid := range parent {
			if ppid == known[0] {
				known, all = append(known, pid), append(all, pid)
			}
		}
	}
	return all
}

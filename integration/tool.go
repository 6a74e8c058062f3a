package integration

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Tool runs other people's S3 clients as a person would set them up, with
// nothing of the person who runs the tests.
type Tool struct {
	Home string   // an empty folder, where they also run
	Path string   // searched before the machine's
	Env  []string // more
}

// Run returns what the tool printed; its end with another status than 0 is an
// error with all it said.
func (c Tool) Run(ctx context.Context, name string, args ...string) (string, error) {
	if c.Path != "" && !strings.Contains(name, "/") {
		if own := filepath.Join(c.Path, name); executable(own) {
			name = own
		}
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = c.Home
	cmd.Env = append([]string{
		"PATH=" + c.Path + ":" + os.Getenv("PATH"), "HOME=" + c.Home, "TMPDIR=" + c.Home,
		"LC_ALL=C.UTF-8", "PYTHONUTF8=1", "PYTHONDONTWRITEBYTECODE=1",
	}, c.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		all := stdout.String() + stderr.String()
		return stdout.String(), fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, all[max(0, len(all)-4000):])
	}
	return stdout.String(), nil
}

func executable(path string) bool {
	s, err := os.Stat(path)
	return err == nil && s.Mode().IsRegular() && s.Mode()&0o111 != 0
}

// AWSEnv is the environment of every SDK of AWS.
func (d *Demo) AWSEnv() []string {
	return []string{
		"AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1",
		"AWS_ENDPOINT_URL=" + d.Endpoint, "AWS_DEFAULT_REGION=" + d.Region, "AWS_REGION=" + d.Region,
		"AWS_ACCESS_KEY_ID=" + d.AccessKey, "AWS_SECRET_ACCESS_KEY=" + d.SecretKey,
	}
}

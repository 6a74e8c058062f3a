package integration

import (
	"context"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestBurn runs examples/burn as a person would: a gateway is killed under load,
// its directory removed, and another one made from kit and identity.
func TestBurn(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s here", tool)
		}
	}
	cmd := exec.CommandContext(ctx, "../examples/burn/burn", program(t), "4")
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "The gateway was expendable.") {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`\d+ objects were acknowledged; \d+ are back, \d+ came after`, `\d+ paths, signed and exact`} {
		if line := regexp.MustCompile(want + ".*").Find(out); line != nil {
			t.Logf("FIGURE TestBurn: %s", line)
		}
	}
	if _, err := exec.LookPath("nix"); err == nil && !strings.Contains(string(out), "paths, signed and exact") {
		t.Errorf("Nix is here and did not pull:\n%s", out)
	}
}

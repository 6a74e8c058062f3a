package integration

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// TestBoto3: what scripts do with boto3, section by section.
func TestBoto3(t *testing.T) {
	ctx := limit(t, 4*time.Minute)
	program(t)
	bin := filepath.Join(venv(t), "bin")
	script, err := filepath.Abs("testdata/boto_more.py")
	if err != nil {
		t.Fatal(err)
	}
	mib := 64
	if long() {
		mib = 512
	}
	d := demo(t, ctx)
	for _, section := range []string{"transfer", "paginators", "copies", "deletes", "presigned", "conditions", "attributes", "tags", "cors"} {
		t.Run(section, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			tool := Tool{home, bin, d.AWSEnv()}
			said, err := tool.Run(ctx, "python", script, d.Bucket, home, fmt.Sprint(mib), section)
			if err != nil {
				t.Fatal(err)
			}
			if said != section+"\n" {
				t.Errorf("it said %q", said)
			}
		})
	}
}

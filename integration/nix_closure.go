package integration

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Closure is a top path of the store "src" and all that it needs. The paths
// are made by hand and made known to Nix, not built: that takes neither root
// nor /nix, and unlike what `nix-store --add` makes they are valid elsewhere
// only by a signature.
type Closure struct {
	Top   string
	Paths []string // the top one is the last
	Bytes int64    // of all NARs
}

// nixBase32 is the alphabet of store paths.
const nixBase32 = "0123456789abcdfghijklmnpqrsvwxyz"

// BuildID is that of the one program in each closure with debug information.
const BuildID = "5a51c29e3cf1b6d18fd9d2f0c5e2bb1a7c6f0e77"

// MakeClosure puts n paths into the store "src": most of some KiB, every
// eighth of some hundred, every sixteenth of several MiB. Each but the first few
// refers to up to three before it, every third to itself too.
func (n *Nix) MakeClosure(ctx context.Context, o Objects, count int) (*Closure, error) {
	r := rand.New(rand.NewPCG(o.Seed, 2))
	c := &Closure{}
	var records strings.Builder
	wanted := map[string]bool{} // by no path yet
	for i := range count {
		path := storePath(r, i, count)
		refs := map[string]bool{}
		for range min(i, r.IntN(4)) {
			refs[c.Paths[r.IntN(i)]] = true
		}
		if i%3 == 0 {
			refs[path] = true
		}
		if i == count-1 {
			refs = wanted
		}
		if err := n.makePath(path, refs, o.Version(i, 0, closureSize(o, i)), i == 1); err != nil {
			return nil, err
		}
		record, size, err := n.record(ctx, path, refs, storePath(r, i, count)+".drv")
		if err != nil {
			return nil, err
		}
		records.WriteString(record)
		c.Paths, c.Bytes = append(c.Paths, path), c.Bytes+size
		wanted[path] = true
		for ref := range refs {
			if ref != path {
				delete(wanted, ref)
			}
		}
	}
	c.Top = c.Paths[count-1]
	_, err := n.RunWith(ctx, records.String(), "nix-store", "--load-db")
	return c, err
}

func closureSize(o Objects, i int) int {
	switch {
	case i%16 == 7:
		return 3<<20 + 16*o.Size(i)
	case i%8 == 3:
		return 10 * o.Size(i)
	}
	return o.Size(i) / 4
}

// storePath has a name with signs that need care in addresses.
func storePath(r *rand.Rand, i, count int) string {
	var hash strings.Builder
	for range 32 {
		hash.WriteByte(nixBase32[r.IntN(len(nixBase32))])
	}
	name := fmt.Sprintf("lib%d-1.0+git=%d_a", i, i)
	if i == count-1 {
		name = "system"
	}
	return "/nix/store/" + hash.String() + "-" + name
}

func (n *Nix) makePath(path string, refs map[string]bool, content []byte, debug bool) error {
	dir := n.path("src") + path
	files := map[string][]byte{"share/blob": content, "share/empty": nil}
	if debug {
		files["lib/debug/.build-id/"+BuildID[:2]+"/"+BuildID[2:]+".debug"] = []byte("symbols")
	}
	for ref := range refs {
		files["needs/"+filepath.Base(ref)] = []byte(ref + "\n")
	}
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o444); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "run"), []byte("#!/bin/sh\necho "+path+"\n"), 0o555); err != nil {
		return err
	}
	return os.Symlink(path+"/share/blob", filepath.Join(dir, "link"))
}

// record is what `nix-store --load-db` wants to know of a path: name, hash and
// length of the NAR, deriver, references.
func (n *Nix) record(ctx context.Context, path string, refs map[string]bool, deriver string) (text string, size int64, err error) {
	cmd := exec.CommandContext(ctx, "nix-store", "--dump", n.path("src")+path)
	nar, err := cmd.StdoutPipe()
	if err != nil {
		return "", 0, err
	}
	if err := cmd.Start(); err != nil {
		return "", 0, err
	}
	hash := sha256.New()
	size, err = io.Copy(hash, nar)
	if werr := cmd.Wait(); err == nil {
		err = werr
	}
	if err != nil {
		return "", 0, fmt.Errorf("nix-store --dump %s: %w", path, err)
	}
	text = fmt.Sprintf("%s\n%x\n%d\n%s\n%d\n", path, hash.Sum(nil), size, deriver, len(refs))
	for ref := range refs {
		text += ref + "\n"
	}
	return text, size, nil
}

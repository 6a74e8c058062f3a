package contribute

import (
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// ledger keeps what the files take within the quota.
type ledger struct {
	quota int64 // 0 for none

	mu   sync.Mutex
	used int64 // guarded by mu; only kept where there is a quota
}

// openLedger counts the bytes of the files below root when there is a quota.
func openLedger(root *os.Root, quota int64) (*ledger, error) {
	l := &ledger{quota: quota}
	if quota == 0 {
		return l, nil
	}
	var err error
	_, l.used, err = measure(root, ".")
	return l, err
}

// measure is how many regular files are below dir, and their bytes.
func measure(root *os.Root, dir string) (files int, bytes int64, err error) {
	err = fs.WalkDir(root.FS(), dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files++
		bytes += info.Size()
		return nil
	})
	return files, bytes, err
}

// take claims n bytes, or returns ENOSPC and claims none.
func (l *ledger) take(n int64) error {
	if l.quota == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n > l.quota-l.used {
		return syscall.ENOSPC
	}
	l.used += n
	return nil
}

// give returns n bytes.
func (l *ledger) give(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used = max(l.used-n, 0)
}

// room is the free and whole space in bytes, of the quota or of the disk that
// dir lies on, whichever leaves less.
func (l *ledger) room(dir string) (free, total int64, err error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return 0, 0, err
	}
	block := int64(disk.Bsize) // the type differs between systems
	free = int64(disk.Bavail) * block
	total = int64(disk.Blocks) * block
	if l.quota == 0 {
		return free, total, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return min(free, l.quota-l.used), min(total, l.quota), nil
}

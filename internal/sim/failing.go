package sim

import "github.com/cairn-storage/cairn/internal/durable"

// failRead says whether a read fails.
func (d *disk) failRead() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left != nil {
		return errPower
	}
	if d.reads > 0 {
		d.reads--
		return errDevice
	}
	return nil
}

// failingFS is a file system whose reads may fail too. The index reads below
// it.
type failingFS struct {
	durable.FS
	d *disk
}

func (f failingFS) Create(name string) (durable.File, error) { return f.wrap(f.FS.Create(name)) }
func (f failingFS) Open(name string) (durable.File, error)   { return f.wrap(f.FS.Open(name)) }
func (f failingFS) OpenReadWrite(name string) (durable.File, error) {
	return f.wrap(f.FS.OpenReadWrite(name))
}

func (f failingFS) wrap(file durable.File, err error) (durable.File, error) {
	if err != nil {
		return nil, err
	}
	return failingFile{file, f.d}, nil
}

type failingFile struct {
	durable.File
	d *disk
}

func (f failingFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.d.failRead(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

package cache

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
)

func TestARestartKeepsTheBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := durable.NewMem()
		c := open(t, configFor(fs, 50))
		putAll(c, 50)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		again := open(t, configFor(fs, 50))
		synctest.Wait()
		if s := again.Stats(); !s.Loaded || s.DiskBlocks != 50 {
			t.Errorf("after a restart: %+v", s)
		}
		if hits := found(t, again, 50); hits != 50 {
			t.Errorf("%d of 50 blocks are there", hits)
		}
	})
}

func TestWhatWaitsIsWrittenAtClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := durable.NewMem()
		c := open(t, configFor(fs, 50))
		synctest.Wait() // taken up what there was: nothing
		for i := range 20 {
			c.Put(keyOf(i), blockOf(i))
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		c.Put(keyOf(30), blockOf(30))
		if hits := found(t, c, 50); hits != 0 {
			t.Errorf("%d hits on disk after Close", hits)
		}
		if err := c.Close(); err != nil {
			t.Errorf("a second Close: %v", err)
		}
		again := open(t, configFor(fs, 50))
		synctest.Wait()
		if hits := found(t, again, 50); hits != 20 {
			t.Errorf("%d of 20 blocks are there", hits)
		}
	})
}

func TestACloseAtOnceLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := durable.NewMem()
		c := open(t, configFor(fs, 20))
		putAll(c, 20)
		c.Close()
		for range 10 { // some end before they took up what there was
			hasty := open(t, configFor(fs, 20))
			hasty.Put(keyOf(100), blockOf(100))
			hasty.Close()
		}
		again := open(t, configFor(fs, 20))
		synctest.Wait()
		if hits := found(t, again, 20); hits < 19 { // block 100 may have taken one place
			t.Errorf("%d of 20 blocks are there", hits)
		}
	})
}

func TestTheHotSetSurvivesARestartAndAScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := durable.NewMem()
		c := open(t, configFor(fs, 80))
		putAll(c, 40)
		for range 2 {
			if hits := found(t, c, 20); hits != 20 { // 0 to 19 are wanted again: frequent
				t.Fatal(hits)
			}
			synctest.Wait()
		}
		c.Close()
		again := open(t, configFor(fs, 80))
		synctest.Wait()
		for i := range 400 {
			again.Put(keyOf(1000+i), blockOf(1000+i))
			synctest.Wait()
		}
		if hits := found(t, again, 20); hits != 20 {
			t.Errorf("%d of 20 hot blocks are left", hits)
		}
	})
}

func TestOnlyItsOwnFileIsUsed(t *testing.T) {
	for _, c := range []struct {
		promise string
		change  func(*testing.T, durable.FS, *Config)
		hits    int
		class   error
	}{
		{"as it was", func(*testing.T, durable.FS, *Config) {}, 20, nil},
		{"more room keeps all", func(t *testing.T, _ durable.FS, c *Config) { c.DiskBytes = diskFor(3000) }, 20, nil},
		{"less room begins anew", func(t *testing.T, _ durable.FS, c *Config) { c.DiskBytes = diskFor(10) }, 0, nil},
		{"another key begins anew", func(t *testing.T, _ durable.FS, c *Config) { c.MAC[5] = 1 }, 0, nil},
		{"another store is refused", func(t *testing.T, _ durable.FS, c *Config) { c.Store[5] = 1 }, 0, cairn.ErrInvalid},
		{"another store under another key is refused", func(t *testing.T, _ durable.FS, c *Config) { c.Store[5], c.MAC[5] = 1, 1 }, 0, cairn.ErrInvalid},
		{"another version begins anew", func(t *testing.T, fs durable.FS, _ *Config) { setByte(t, fs, 11, flip) }, 0, nil},
		{"a damaged head begins anew", func(t *testing.T, fs durable.FS, _ *Config) { setByte(t, fs, 20, flip) }, 0, nil},
		{"no file", func(t *testing.T, fs durable.FS, _ *Config) {
			if err := fs.Remove(fileAt); err != nil {
				t.Fatal(err)
			}
		}, 0, nil},
		{"an empty file", func(t *testing.T, fs durable.FS, _ *Config) {
			if err := fs.Remove(fileAt); err != nil {
				t.Fatal(err)
			}
			f, err := fs.Create(fileAt)
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
		}, 0, nil},
		{"no store", func(t *testing.T, _ durable.FS, c *Config) { c.Store = cairn.StoreID{} }, 0, cairn.ErrInvalid},
		{"no key", func(t *testing.T, _ durable.FS, c *Config) { c.MAC = [32]byte{} }, 0, cairn.ErrInvalid},
		{"no file system", func(t *testing.T, _ durable.FS, c *Config) { c.FS = nil }, 0, cairn.ErrInvalid},
		{"no room", func(t *testing.T, _ durable.FS, c *Config) { c.DiskBytes = diskFor(0) }, 0, cairn.ErrInvalid},
		{"less than none", func(t *testing.T, _ durable.FS, c *Config) { c.DiskBytes = -1 }, 0, cairn.ErrInvalid},
	} {
		t.Run(c.promise, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fs := durable.NewMem()
				first := open(t, configFor(fs, 20))
				putAll(first, 20)
				first.Close()
				config := configFor(fs, 20)
				c.change(t, fs, &config)
				cache, err := New(config)
				if !errors.Is(err, c.class) || (err == nil) != (c.class == nil) {
					t.Fatalf("%v, want %v", err, c.class)
				}
				if err != nil {
					untouched := open(t, configFor(fs, 20))
					synctest.Wait()
					if hits := found(t, untouched, 20); hits != 20 {
						t.Errorf("a refused file has %d of 20 blocks left", hits)
					}
					return
				}
				defer cache.Close()
				synctest.Wait()
				if hits := found(t, cache, 20); hits != c.hits {
					t.Errorf("%d hits, want %d", hits, c.hits)
				}
				cache.Put(keyOf(500), blockOf(500)) // and it works
				synctest.Wait()
				if got, ok := cache.Get(keyOf(500)); !ok || !bytes.Equal(got, blockOf(500)) {
					t.Error("what was put then is not there")
				}
			})
		})
	}
}

package recovery

import (
	"slices"

	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// Body is the body of the newest root, a copy; false while there is none.
func (k *Keeper) Body() (pack.RootBody, bool) {
	k.mu.Lock()
	has := k.chain.newest != nil
	k.mu.Unlock()
	if !has {
		return pack.RootBody{}, false
	}
	body, err := k.copyBody()
	return body, err == nil
}

// Older are the bodies of the roots before the newest one that are still kept
// here, newest first. One that cannot be read, or of whose epoch there is no key,
// is left out.
func (k *Keeper) Older() (out []pack.RootBody) {
	k.mu.Lock()
	names, epochs := slices.Clone(k.chain.here), k.secrets.Epochs
	k.mu.Unlock()
	slices.Reverse(names)
	for i, name := range names {
		if i == 0 {
			continue // the newest
		}
		data, err := durable.ReadFile(k.c.FS, k.path(name), pack.MaxRoot)
		if err != nil {
			continue
		}
		f, err := openFile(name, data, k.c.Store)
		if err != nil {
			continue
		}
		if key, ok := epochs[f.Epoch]; ok {
			if body, err := f.Open(key); err == nil {
				out = append(out, body)
			}
		}
	}
	return out
}

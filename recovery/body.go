package recovery

import "github.com/cairn-storage/cairn/pack"

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

package settings

import (
	"context"
	"os"
	"sync"
	"time"
)

// secretFile is a secret in a file that somebody else replaces. It is safe for concurrent use.
type secretFile struct {
	path string

	mu     sync.Mutex
	value  string
	seen   os.FileInfo
	looked time.Time
}

// everyLook bounds how often the file is looked at: a secret is asked for with every call.
const everyLook = time.Second

// get gives the secret. While the file can not be read or is empty, as when it is just being replaced, the one before is good.
func (f *secretFile) get(context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) < everyLook {
		return f.value, nil
	}
	f.looked = time.Now()
	info, err := os.Stat(f.path)
	if err != nil || f.seen != nil && os.SameFile(info, f.seen) && info.ModTime().Equal(f.seen.ModTime()) && info.Size() == f.seen.Size() {
		return f.value, nil
	}
	if text, err := readSecret(f.path); err == nil && text != "" {
		f.value, f.seen = text, info
	}
	return f.value, nil
}

package environments

import (
	"io"
	"slices"
	"sync"
)

// tailSize is how much of a build's output is kept for those who did not begin it.
const tailSize = 64 << 10

// output takes what a build writes: it goes to who began it, as long as he waits, and its end is kept.
type output struct {
	mu   sync.Mutex
	to   io.Writer
	kept []byte
	cut  bool
}

// Write never fails: a log that takes nothing must not end a build that others wait for.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.to != nil {
		if _, err := o.to.Write(p); err != nil {
			o.to = nil
		}
	}
	o.kept = append(o.kept, p...)
	if over := len(o.kept) - tailSize; over > tailSize { // not on every write
		o.kept, o.cut = slices.Clone(o.kept[over:]), true
	}
	return len(p), nil
}

// detach keeps further output from who began the build. When it returns, no write to him is under way.
func (o *output) detach() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.to = nil
}

// tail is the end of the output, from a line's beginning.
func (o *output) tail() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	kept, cut := o.kept, o.cut
	if over := len(kept) - tailSize; over > 0 {
		kept, cut = kept[over:], true
	}
	if i := slices.Index(kept, '\n'); cut && i >= 0 {
		kept = kept[i+1:]
	}
	return slices.Clone(kept)
}

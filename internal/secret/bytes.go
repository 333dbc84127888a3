package secret

import (
	"errors"
	"fmt"
)

// ErrNoKey is the answer to data sealed with a key that is not known here.
var ErrNoKey = errors.New("the key is not known here")

// SealBytes seals data with the newest key, whose id it gives. bound is not part of what is sealed, but must be the same to open it.
func (b Box) SealBytes(data []byte, bound func(id string) []byte) (id string, sealed []byte) {
	id = b.ring.Newest()
	return id, b.ring.aead(id, b.use).Seal(nil, nil, data, bound(id))
}

// OpenBytes opens what SealBytes sealed. A key that is not known is asked for; if it is nowhere, the error is ErrNoKey, and
// ErrNotSealed if the data were not sealed with it or were changed.
func (b Box) OpenBytes(id string, sealed, bound []byte) ([]byte, error) {
	a := b.ring.look(id, b.use)
	if a == nil {
		return nil, fmt.Errorf("%w: %q", ErrNoKey, id)
	}
	data, err := a.Open(nil, nil, sealed, bound)
	if err != nil {
		return nil, ErrNotSealed
	}
	return data, nil
}

// Newest is the id of the key that seals.
func (b Box) Newest() string { return b.ring.Newest() }

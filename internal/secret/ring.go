package secret

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Numbered is one key of a Ring. Of several, the one with the highest number seals.
type Numbered struct {
	Number int64
	Keys   Keys
}

// Ring is all keys of an installation. It seals with the newest and opens with any. It is safe for concurrent use, and may be
// given other keys at any time: boxes made of it use those from then on.
type Ring struct {
	mu      sync.RWMutex
	keys    map[string]Numbered // by id
	newest  string
	oldest  string
	missing func(id string) // asked for a key that is not known
	aeads   map[string]cipher.AEAD
}

// NewRing makes a ring of keys.
func NewRing(keys ...Numbered) *Ring {
	r := &Ring{}
	r.Set(keys)
	return r
}

// Set replaces the keys.
func (r *Ring) Set(keys []Numbered) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.newest, r.oldest, r.aeads = map[string]Numbered{}, "", "", map[string]cipher.AEAD{}
	for _, k := range keys {
		id := k.Keys.ID()
		r.keys[id] = k
		if r.newest == "" || k.Number > r.keys[r.newest].Number {
			r.newest = id
		}
		if r.oldest == "" || k.Number < r.keys[r.oldest].Number {
			r.oldest = id
		}
	}
}

// OnMissing has fn called when a text names a key the ring does not have. fn may Set it.
func (r *Ring) OnMissing(fn func(id string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.missing = fn
}

// Newest is the id of the key that seals.
func (r *Ring) Newest() string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.newest
}

// Has tells whether the ring has a key.
func (r *Ring) Has(id string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, found := r.keys[id]
	return found
}

func (r *Ring) ids() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	ids := make([]string, 0, len(r.keys))
	for id := range r.keys {
		ids = append(ids, id)
	}
	return ids
}

// aead gives the cipher of a key and use; nil for a key the ring does not have.
func (r *Ring) aead(id, use string) cipher.AEAD {
	r.mu.RLock()
	made, found := r.aeads[id+"/"+use]
	key, known := r.keys[id]
	r.mu.RUnlock()
	if found || !known {
		return made
	}
	block, err := aes.NewCipher(key.Keys.Derive(use))
	if err != nil { // only for sizes that no key has
		panic(err)
	}
	if made, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		panic(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.keys[id]; known {
		r.aeads[id+"/"+use] = made
	}
	return made
}

// look is aead, asking for a key that is missing.
func (r *Ring) look(id, use string) cipher.AEAD {
	if a := r.aead(id, use); a != nil {
		return a
	}
	r.mu.RLock()
	missing := r.missing
	r.mu.RUnlock()
	if missing != nil {
		missing(id)
	}
	return r.aead(id, use)
}

// Box seals and opens values of one use.
type Box struct {
	ring *Ring
	use  string
}

// Box makes the box for a use.
func (r *Ring) Box(use string) Box { return Box{ring: r, use: use} }

// NewBox makes the box for a use of one key.
func NewBox(k Keys, use string) (Box, error) { return NewRing(Numbered{1, k}).Box(use), nil }

// The formats of a sealed text. The first one, which is still opened, does not name its key.
const (
	prefix1 = "v1:" // base64
	prefix2 = "v2:" // id of the key ":" base64
)

// encoding is strict, so that no other text opens than the one that was sealed: the last character may have bits that mean nothing.
var encoding = base64.RawStdEncoding.Strict()

// Seal makes a text that only Open of the same installation and use can read. Equal values give different texts.
func (b Box) Seal(value string) string {
	id := b.ring.Newest()
	return prefix2 + id + ":" + encoding.EncodeToString(b.ring.aead(id, b.use).Seal(nil, nil, []byte(value), nil))
}

// Open gives the value back, or ErrNotSealed.
func (b Box) Open(sealed string) (string, error) {
	value, _, err := b.open(sealed, b.ring.look)
	return value, err
}

func (b Box) open(sealed string, aead func(id, use string) cipher.AEAD) (value, id string, err error) {
	text, old := strings.CutPrefix(sealed, prefix1)
	ids := b.ring.ids()
	if !old {
		rest, newer := strings.CutPrefix(sealed, prefix2)
		var named bool
		if id, text, named = strings.Cut(rest, ":"); !newer || !named {
			return "", "", ErrNotSealed
		}
		ids = []string{id}
	}
	data, err := encoding.DecodeString(text)
	if err != nil {
		return "", "", ErrNotSealed
	}
	for _, id := range ids {
		a := aead(id, b.use)
		if a == nil {
			return "", id, fmt.Errorf("%w: it names key %s, which is not known here", ErrNotSealed, id)
		}
		if value, err := a.Open(nil, nil, data, nil); err == nil {
			return string(value), id, nil
		}
	}
	return "", "", ErrNotSealed
}

// sealedText finds what may be a sealed text inside another, such as JSON.
var sealedText = regexp.MustCompile(`v1:[A-Za-z0-9+/]{38,}|v2:[0-9a-f]{8}:[A-Za-z0-9+/]{38,}`)

// Reseal seals every sealed text inside a text with the newest key. by counts what was found, by the id of its key.
func (b Box) Reseal(text string) (resealed string, by map[string]int) {
	by = map[string]int{}
	resealed = sealedText.ReplaceAllStringFunc(text, func(found string) string {
		value, id, err := b.open(found, b.ring.aead)
		if err != nil { // it only looks like one, or its key is gone
			return found
		}
		by[id]++
		if id == b.ring.Newest() && strings.HasPrefix(found, prefix2) {
			return found
		}
		return b.Seal(value)
	})
	return resealed, by
}

// ID names the key without telling anything of it: 8 hex digits.
func (k Keys) ID() string { return hex.EncodeToString(k.Derive("key-id")[:4]) }

// Text is the key in hex: for its file, and to be sealed.
func (k Keys) Text() string { return hex.EncodeToString(k.master) }

// Derived is the keys of one use, one of each key of the ring.
type Derived struct {
	ring *Ring
	use  string
}

// Derived gives the keys of a use.
func (r *Ring) Derived(use string) Derived { return Derived{ring: r, use: use} }

// Newest is the one to use.
func (d Derived) Newest() (id string, key []byte) {
	id = d.ring.Newest()
	key, _ = d.Key(id)
	return id, key
}

// Key is that of an id. The empty id is the oldest key's: of the time when there was one only. A key that is missing is asked for.
func (d Derived) Key(id string) (key []byte, found bool) {
	if key, found = d.key(id); found || !keyID.MatchString(id) {
		return key, found
	}
	d.ring.mu.RLock()
	missing := d.ring.missing
	d.ring.mu.RUnlock()
	if missing != nil {
		missing(id)
	}
	return d.key(id)
}

// keyID is what ids look like: strangers may name others, for which nobody need look.
var keyID = regexp.MustCompile(`^[0-9a-f]{8}$`)

func (d Derived) key(id string) (key []byte, found bool) {
	d.ring.mu.RLock()
	defer d.ring.mu.RUnlock()
	if id == "" {
		id = d.ring.oldest
	}
	k, found := d.ring.keys[id]
	if !found {
		return nil, false
	}
	return k.Keys.Derive(d.use), true
}

// IDs lists the keys, the newest first.
func (d Derived) IDs() []string {
	d.ring.mu.RLock()
	defer d.ring.mu.RUnlock()
	return slices.SortedFunc(maps.Keys(d.ring.keys), func(a, b string) int { return cmp.Compare(d.ring.keys[b].Number, d.ring.keys[a].Number) })
}

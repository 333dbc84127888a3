// Package secret keeps values that must not lie about in clear: it seals them with AES-256-GCM under keys derived from the
// installation's master key. It imports the standard library only.
package secret

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"unicode"
)

// KeySize is the size of the master key in bytes.
const KeySize = 32

// ErrNotSealed is the answer to a text that this master key did not seal, or that was changed since.
var ErrNotSealed = errors.New("the value was not sealed with this installation's key")

// Keys is the master key. Each use gets a key of its own from it, so that no two uses share one.
type Keys struct{ master []byte }

// NewKeys wraps a master key of KeySize bytes.
func NewKeys(master []byte) (Keys, error) {
	if len(master) != KeySize {
		return Keys{}, fmt.Errorf("a master key has %d bytes, not %d", KeySize, len(master))
	}
	return Keys{master: append([]byte(nil), master...)}, nil
}

// ParseKeys reads a master key in hex.
func ParseKeys(text string) (Keys, error) {
	master, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return Keys{}, errors.New("a master key is written in hex")
	}
	return NewKeys(master)
}

// Masters are the master keys of an installation, the newest first: one, or a new one and those it takes the place of.
type Masters []Keys

// ParseMasters reads master keys in hex, with commas or blanks between them.
func ParseMasters(text string) (Masters, error) {
	var m Masters
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		k, err := ParseKeys(word)
		if err != nil {
			return nil, err
		}
		m = append(m, k)
	}
	if len(m) == 0 {
		return nil, errors.New("there is no key")
	}
	return m, nil
}

// Ring is the master keys as a ring whose newest is the first.
func (m Masters) Ring() *Ring {
	var keys []Numbered
	for i, k := range m {
		keys = append(keys, Numbered{Number: int64(len(m) - i), Keys: k})
	}
	return NewRing(keys...)
}

// LoadOrCreate reads the master keys from path, or makes a new one there with mode 0600.
func LoadOrCreate(path string) (Masters, error) {
	keys, err := Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		keys = Masters{NewKey()}
		return keys, Store(path, keys)
	}
	return keys, err
}

// Load reads the master keys from path.
func Load(path string) (Masters, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	keys, err := ParseMasters(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s does not hold a master key: %w", path, err)
	}
	return keys, nil
}

// NewKey makes a key.
func NewKey() Keys {
	master := make([]byte, KeySize)
	rand.Read(master)
	return Keys{master: master}
}

// Store writes the master keys to path, with mode 0600, through a temporary file, so that a crash never leaves half a key
// behind: with it every sealed value of the installation would be lost.
func Store(path string, keys Masters) error {
	var text strings.Builder
	for _, k := range keys {
		text.WriteString(k.Text() + "\n")
	}
	temp := path + ".new"
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text.String())
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// Derive makes the key of one use, such as "access-token". The same use always gets the same key.
func (k Keys) Derive(use string) []byte {
	key, err := hkdf.Key(sha256.New, k.master, nil, "waybill/"+use, KeySize)
	if err != nil { // only for sizes that HKDF can not make
		panic(err)
	}
	return key
}

// Package secret keeps values that must not lie about in clear: it seals them with AES-256-GCM under keys derived from the
// installation's master key. It imports the standard library only.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
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

// LoadOrCreate reads the master key (hex) from path, or makes a new one there with mode 0600.
func LoadOrCreate(path string) (Keys, error) {
	keys, err := Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(path)
	}
	return keys, err
}

// Load reads the master key (hex) from path.
func Load(path string) (Keys, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Keys{}, err
	}
	keys, err := ParseKeys(string(text))
	if err != nil {
		return Keys{}, fmt.Errorf("%s does not hold a master key: %w", path, err)
	}
	return keys, nil
}

// create writes through a temporary file, so that a crash never leaves half a key behind: with it every sealed value of
// the installation would be lost.
func create(path string) (Keys, error) {
	master := make([]byte, KeySize)
	rand.Read(master)
	temp := path + ".new"
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return Keys{}, err
	}
	_, err = file.WriteString(hex.EncodeToString(master) + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return Keys{}, err
	}
	if err := os.Rename(temp, path); err != nil {
		return Keys{}, err
	}
	return NewKeys(master)
}

// Derive makes the key of one use, such as "access-token". The same use always gets the same key.
func (k Keys) Derive(use string) []byte {
	key, err := hkdf.Key(sha256.New, k.master, nil, "waybill/"+use, KeySize)
	if err != nil { // only for sizes that HKDF can not make
		panic(err)
	}
	return key
}

// Box seals and opens values of one use.
type Box struct{ aead cipher.AEAD }

// NewBox makes the box for a use.
func NewBox(k Keys, use string) (Box, error) {
	block, err := aes.NewCipher(k.Derive(use))
	if err != nil {
		return Box{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return Box{}, err
	}
	return Box{aead: aead}, nil
}

// prefix names the format, so that a later one can be told apart.
const prefix = "v1:"

// Seal makes a text that only Open of the same installation and use can read. Equal values give different texts.
func (b Box) Seal(value string) string {
	return prefix + base64.RawStdEncoding.EncodeToString(b.aead.Seal(nil, nil, []byte(value), nil))
}

// Open gives the value back, or ErrNotSealed.
func (b Box) Open(sealed string) (string, error) {
	text, ok := strings.CutPrefix(sealed, prefix)
	if !ok {
		return "", ErrNotSealed
	}
	data, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return "", ErrNotSealed
	}
	value, err := b.aead.Open(nil, nil, data, nil)
	if err != nil {
		return "", ErrNotSealed
	}
	return string(value), nil
}

package standalone

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// TokenFile of the data folder holds what a client of the embedded Temporal must show. Jobs can not read that folder.
	TokenFile = "engine-token"
	// minToken is the shortest text that is taken for a token.
	minToken = 32
)

// ReadToken reads the token of a data folder.
func ReadToken(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, TokenFile))
	if err != nil {
		return "", fmt.Errorf("read the engine's token in the data folder: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < minToken || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("the file %s holds no token of at least %d characters; delete it, and the next start makes one", filepath.Join(dir, TokenFile), minToken)
	}
	return token, nil
}

// loadToken reads the token, or makes one where there is none. Deleting the file is how a token is replaced.
func loadToken(dir string) (string, error) {
	path := filepath.Join(dir, TokenFile)
	token, err := ReadToken(dir)
	switch {
	case err == nil:
		if err := os.Chmod(path, 0o600); err != nil {
			return "", fmt.Errorf("keep the engine's token to ourselves: %w", err)
		}
		return token, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("make the engine's token: %w", err)
	}
	token = hex.EncodeToString(raw)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the data folder: %w", err)
	}
	if err := writeFile(path, []byte(token+"\n")); err != nil {
		return "", fmt.Errorf("keep the engine's token in the data folder: %w", err)
	}
	return token, nil
}

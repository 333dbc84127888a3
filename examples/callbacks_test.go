package examples

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// snippet takes the first block of a language out of docs/callbacks.md.
func snippet(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/callbacks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```"+language+"\n")
	code, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatalf("docs/callbacks.md has no block of %s", language)
	}
	return code
}

// The snippets of docs/callbacks.md tell a genuine call from one that is not.
func TestSignaturesAreCheckedAsDocumented(t *testing.T) {
	t.Parallel()
	const secret, body = "a long random text", "{\"event\":\"job.failed\",\"text\":\"Größe\"}"
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	good := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	for _, one := range []struct {
		language, program, flag, call string
	}{
		{"python", "python3", "-c", `
import sys
sys.exit(0 if genuine(sys.argv[1], open(sys.argv[2], "rb").read(), sys.argv[3]) else 1)`},
		{"javascript", "node", "-e", `
const [secret, file, header] = process.argv.slice(1);
process.exit(genuine(secret, require("fs").readFileSync(file), header) ? 0 : 1);`},
		{"sh", "sh", "-c", `genuine "$0" "$1" "$2"`},
	} {
		t.Run(one.language, func(t *testing.T) {
			t.Parallel()
			for _, need := range []string{one.program, map[string]string{"sh": "openssl"}[one.language]} {
				if _, err := exec.LookPath(need); need != "" && err != nil {
					t.Skipf("%s is not installed", need)
				}
			}
			file := filepath.Join(t.TempDir(), "body")
			if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
				t.Fatal(err)
			}
			for header, genuine := range map[string]bool{good: true, good[:len(good)-1] + "x": false, "": false, strings.ToUpper(good): false} {
				out, err := exec.CommandContext(t.Context(), one.program, one.flag, snippet(t, one.language)+one.call, secret, file, header).CombinedOutput()
				if (err == nil) != genuine {
					t.Errorf("%q: %v %s", header, err, out)
				}
			}
		})
	}
}

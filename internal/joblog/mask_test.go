package joblog

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
)

// inPieces masks a text that is written in pieces of a size.
func inPieces(t testing.TB, s *Secrets, text string, size int) string {
	t.Helper()
	var b bytes.Buffer
	m := s.Masker(&b)
	for rest := text; rest != ""; {
		n := min(size, len(rest))
		if _, err := m.Write([]byte(rest[:n])); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := m.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const pem = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEAzX7v\nq9f/+Zk3ab\n-----END KEY-----\n"

func TestMaskerFindsEncodings(t *testing.T) {
	t.Parallel()
	const value = `p@ss/w"rd?ü <&>~7+ it's`
	std, raw := base64.StdEncoding, base64.RawURLEncoding
	quoted, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	unescaped := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(quoted))
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, "%d.%x;", i*i, i*7919)
	}
	long := b.String()
	wrapped := func(text string, width int, end string) string {
		var b strings.Builder
		for i := 0; i < len(text); i += width {
			b.WriteString(text[i:min(i+width, len(text))] + end)
		}
		return b.String()
	}
	cases := []struct{ name, secret, text, want string }{
		{"base64", value, "[" + std.EncodeToString([]byte(value)) + "]", "[***]"},
		{"base64 with a newline in it", value, std.EncodeToString([]byte(value + "\n")), "***Cg=="},
		{"base64 without padding", value, "[" + base64.RawStdEncoding.EncodeToString([]byte(value)) + "]", "[***]"},
		{"base64 for URLs", value, "a=" + raw.EncodeToString([]byte(value)) + "&b", "a=***&b"},
		{"base64 behind one byte", value, std.EncodeToString([]byte("x" + value)), "eH***"},
		{"base64 behind two bytes", value, std.EncodeToString([]byte("ab" + value)), "YWJ***"},
		{"base64 of user and password", value, "Basic " + std.EncodeToString([]byte("bob:"+value)), "Basic Ym9iOn***"},
		{"base64 over lines", long, "key:\n" + wrapped(std.EncodeToString([]byte(long)), 76, "\n"), "key:\n***\n"},
		{"base64 over lines of mail", long, "key:\r\n" + wrapped(std.EncodeToString([]byte(long)), 76, "\r\n"), "key:\r\n***\r\n"},
		{"hexadecimal", value, hex.EncodeToString([]byte("<" + value + ">")), "3c***3e"},
		{"hexadecimal, upper case", value, strings.ToUpper(hex.EncodeToString([]byte(value))), "***"},
		{"hexadecimal over lines", long, wrapped(hex.EncodeToString([]byte(long)), 60, "\n"), "***\n"},
		{"query", value, "?q=" + url.QueryEscape(value) + "&x", "?q=***&x"},
		{"path", value, "/a/" + url.PathEscape(value) + "/x", "/a/***/x"},
		{"query, lower case", value, lowerEscapes(url.QueryEscape(value)), "***"},
		{"encodeURIComponent", value, "p%40ss%2Fw%22rd%3F%C3%BC%20%3C%26%3E~7%2B%20it's", "***"},
		{"JSON of Go", value, `{"p":` + string(quoted) + `}`, `{"p":"***"}`},
		{"JSON of JavaScript", value, `{"p":` + unescaped + `}`, `{"p":"***"}`},
		{"JSON of Python", value, `{"p":"p@ss/w\"rd?\u00fc <&>~7+ it's"}`, `{"p":"***"}`},
		{"JSON of PHP", value, `p@ss\/w\"rd?ü <&>~7+ it's`, `***`},
		{"trace of a shell", value, `+ login 'p@ss/w"rd?ü <&>~7+ it'\''s'`, `+ login '***'`},
		{"several lines at once", pem, "x\n" + pem + "y", "x\n***\ny"},
		{"several lines one by one", pem, "1 MIIEpAIBAAKCAQEAzX7v\n2 q9f/+Zk3ab\n", "1 ***\n2 ***\n"},
		{"several lines in JSON", pem, `"` + strings.ReplaceAll(pem, "\n", `\n`) + `"`, `"***\n"`},
		{"short lines stay", "{\n  \"key\": \"q9f/+Zk3ab\"\n}", "{\n1\n}\n  \"key\": \"q9f/+Zk3ab\"\n", "{\n1\n}\n  ***\n"},
		{"blanks around the value", "  abcd  ", "abcd", "***"},
		{"too short to be masked encoded", "abcd", hex.EncodeToString([]byte("abcd")) + " abcd", "61626364 ***"},
		{"empty lines end what is encoded", long, hex.EncodeToString([]byte(long))[:100] + "\n\n\n" + hex.EncodeToString([]byte(long))[100:],
			hex.EncodeToString([]byte(long))[:100] + "\n\n\n" + hex.EncodeToString([]byte(long))[100:]},
		{"empty lines end the rest of what is encoded", long, hex.EncodeToString([]byte(long))[:300] + "\n\n\nabc", "***\n\n\nabc"},
		{"a long value", long, "<" + long + ">", "<***>"},
		{"a long value that breaks off", long, "<" + long[:300], "<***"},
		{"a long value in base64 that breaks off", long, "<" + std.EncodeToString([]byte(long))[:300] + ">", "<***>"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := NewSecrets([]string{c.secret})
			for size := 1; size <= len(c.text); size += 1 + size/8 {
				if got := inPieces(t, s, c.text, size); got != c.want {
					t.Fatalf("in pieces of %d: %q, want %q", size, got, c.want)
				}
			}
			if got := s.Mask(c.text); got != c.want {
				t.Errorf("as a text: %q, want %q", got, c.want)
			}
		})
	}
}

// Lines are passed on at once, even where their last characters might begin an encoded secret.
func TestLinesAreNotHeldBackForAnEncodedSecret(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	m := NewMasker(&b, []string{"correct horse battery"})
	coded := base64.StdEncoding.EncodeToString([]byte("correct horse battery"))
	for _, text := range []string{"ends in " + coded[:minHeld-1] + "\n", "and " + hex.EncodeToString([]byte("cor")) + "\n"} {
		b.Reset()
		if _, err := m.Write([]byte(text)); err != nil || b.String() != text {
			t.Errorf("got %q %v, want %q", b.String(), err, text)
		}
	}
	b.Reset()
	if _, err := m.Write([]byte("but " + coded[:minHeld] + "\n")); err != nil || b.String() != "but " {
		t.Errorf("what is likely the beginning of a secret is passed on: %q %v", b.String(), err)
	}
}

// Whatever the secrets, their encodings and the pieces, the result is what masking the whole at once gives, and no secret
// is in it.
func TestMaskerInRandomPiecesWithEncodings(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	word := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "ab\n/"[r.IntN(4)]
		}
		return string(b)
	}
	for range 2000 {
		values := []string{"x" + word(4+r.IntN(20)) + "y", "x" + word(6) + "y"}
		var text strings.Builder
		for range 1 + r.IntN(6) {
			v := values[r.IntN(2)]
			coded := base64.StdEncoding.EncodeToString([]byte(word(r.IntN(3)) + v + word(r.IntN(3))))
			at := r.IntN(len(coded))
			text.WriteString([]string{v, coded, hex.EncodeToString([]byte(v)), word(5), coded[:at] + "\n" + coded[at:]}[r.IntN(5)])
		}
		s := NewSecrets(values)
		var b bytes.Buffer
		m := s.Masker(&b)
		for rest := text.String(); rest != ""; {
			n := min(1+r.IntN(9), len(rest))
			write(t, m, rest[:n])
			rest = rest[n:]
		}
		if err := m.Flush(); err != nil {
			t.Fatal(err)
		}
		if whole := s.Mask(text.String()); whole != b.String() {
			t.Fatalf("%q with %q: %q at once, %q in pieces", text.String(), values, whole, b.String())
		}
		for _, v := range values {
			if strings.Contains(b.String(), v) || strings.Contains(b.String(), hex.EncodeToString([]byte(v))) {
				t.Fatalf("%q shows %q", b.String(), v)
			}
		}
	}
}

// BenchmarkMasker measures with 1 and with 100 secrets: the time must not grow with their number.
func BenchmarkMasker(b *testing.B) {
	line := "2026-03-17T09:41:48.123Z INFO order 4711 of customer ACME was sent to https://example.com/api/orders?id=4711\n"
	text := bytes.Repeat([]byte(line), 300)
	for _, n := range []int{0, 1, 100} {
		values := make([]string, n)
		for i := range values {
			values[i] = fmt.Sprintf("secret-%d-%x", i, i*7919)
		}
		s := NewSecrets(values)
		b.Run(fmt.Sprintf("secrets=%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			m := s.Masker(&discard{})
			for b.Loop() {
				if _, err := m.Write(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNewSecrets is what a job with three secrets of the usual length costs at its start.
func BenchmarkNewSecrets(b *testing.B) {
	values := []string{"correct horse battery staple", "AKIAIOSFODNN7EXAMPLE", strings.Repeat("eyJhbGciOi", 33)}
	b.ReportAllocs()
	for b.Loop() {
		NewSecrets(values)
	}
}

type discard struct{ n int }

func (d *discard) Write(p []byte) (int, error) {
	d.n += len(p)
	return len(p), nil
}

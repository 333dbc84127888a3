package joblog

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"unicode/utf16"
)

// What is masked, by length in bytes. Masking shorter texts would make a log unreadable and tell the value by its gaps.
const (
	minSecret  = 3 // of a value
	minEncoded = 5 // of a value whose encodings are masked, too: they have six characters or more then
	minLine    = 8 // of a line of a value that has several
	// maxHead is how much of a pattern is looked for. What follows it is masked up to the pattern's length unseen, so that
	// memory does not grow with a large value times the number of its encodings.
	maxHead = 128
)

// Secrets are values that are shown nowhere, ready to be found in texts. Besides a value itself these are found: its base64
// (standard and URL alphabet, with or without padding, also in the middle of what was encoded, and over line breaks), its
// hexadecimal digits (either case, over line breaks), its forms in a URL, a JSON string and single quotes of a shell, and
// of a value of several lines each line by itself. It is safe for concurrent use.
type Secrets struct {
	plain   *automaton
	encoded *automaton // over the text without its line breaks; nil: nothing to find
}

// NewSecrets makes what finds the values. Values shorter than 3 bytes are not looked for.
func NewSecrets(values []string) *Secrets {
	var f forms
	for _, v := range values {
		f.add(v)
	}
	if len(f.plain) == 0 {
		return &Secrets{}
	}
	s := &Secrets{plain: newAutomaton(f.plain)}
	if len(f.encoded) > 0 {
		s.encoded = newAutomaton(f.encoded)
	}
	return s
}

// Mask gives the text with every secret replaced by "***".
func (s *Secrets) Mask(text string) string {
	if s == nil || s.plain == nil || text == "" {
		return text
	}
	var b bytes.Buffer
	m := s.Masker(&b)
	_, _ = m.Write([]byte(text)) // a Buffer takes everything
	_ = m.Flush()
	return b.String()
}

// Masker masks what it writes to w.
func (s *Secrets) Masker(w io.Writer) *Masker { return &Masker{w: w, secrets: s} }

// forms collects the patterns of secrets.
type forms struct {
	plain, encoded []pattern
	seen           map[string]bool
}

func (f *forms) add(value string) {
	v := strings.TrimSpace(value) // a program that reads a value mostly drops the blanks around it
	if len(v) < minSecret {
		v = strings.Trim(value, "\r\n")
	}
	if len(v) < minSecret {
		return
	}
	f.text(v)
	if strings.ContainsAny(v, "\r\n") {
		for line := range strings.Lines(v) {
			if line = strings.TrimSpace(line); len(line) >= minLine {
				f.text(line)
			}
		}
	}
	if len(v) < minEncoded {
		return
	}
	for _, form := range written(v) {
		f.text(form)
	}
	f.base64(v, base64.StdEncoding)
	f.base64(v, base64.URLEncoding)
	digits := hex.EncodeToString([]byte(v))
	f.code(digits, 0)
	f.code(strings.ToUpper(digits), 0)
}

// text adds a pattern that is found as it is.
func (f *forms) text(s string) {
	if f.fresh("t" + s) {
		f.plain = append(f.plain, cutHead(s, 0))
	}
}

// code adds a pattern that is found over line breaks. The bits of extra more characters belong to the value in part.
func (f *forms) code(s string, extra int) {
	if f.fresh("c" + s) {
		f.encoded = append(f.encoded, cutHead(s, extra))
	}
}

func (f *forms) fresh(s string) bool {
	if f.seen == nil {
		f.seen = map[string]bool{}
	}
	known := f.seen[s]
	f.seen[s] = true
	return !known
}

func cutHead(s string, tail int) pattern {
	if len(s) > maxHead {
		return pattern{head: s[:maxHead], tail: len(s) - maxHead + tail}
	}
	return pattern{head: s, tail: tail}
}

// base64 adds what the value looks like in base64 behind 0, 1 or 2 bytes of a group of three. Characters that hold bits of
// the bytes before are left out; one that holds bits of the bytes behind is masked unseen.
func (f *forms) base64(v string, e *base64.Encoding) {
	for before := range 3 {
		full := e.EncodeToString(append(make([]byte, before), v...))
		first := (before*8 + 5) / 6
		whole := (before + len(v)) * 8 / 6
		extra := 0
		if (before+len(v))*8%6 != 0 {
			extra = 1
		}
		f.code(full[first:whole], extra)
		if strings.HasSuffix(full, "=") {
			f.code(full[first:], 0)
		}
	}
}

// written lists how the value is written inside other texts.
func written(v string) []string {
	escaped := url.QueryEscape(v)
	spaced := strings.ReplaceAll(escaped, "+", "%20")
	asIs := strings.NewReplacer("%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*") // what encodeURIComponent leaves
	list := []string{
		escaped, spaced, asIs.Replace(spaced), strings.ReplaceAll(spaced, "%2F", "/"), url.PathEscape(v),
		strings.ReplaceAll(v, "'", `'\''`), strings.ReplaceAll(v, "'", `'"'"'`),
	}
	for _, s := range list[:5] {
		list = append(list, lowerEscapes(s))
	}
	return append(list, inJSON(v)...)
}

// lowerEscapes writes %2F as %2f.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], bytes.ToLower(b[i+1:i+3]))
		}
	}
	return string(b)
}

// inJSON lists the forms in a JSON string: as Go and as JavaScript write it, all in ASCII as Python does, and with the
// slashes escaped as PHP does.
func inJSON(v string) []string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil { // a string can always be encoded
		return nil
	}
	plain := strings.Trim(strings.TrimSuffix(b.String(), "\n"), " ")
	plain = plain[1 : len(plain)-1]
	list := []string{plain, strings.ReplaceAll(plain, "/", `\/`)}
	if html, err := json.Marshal(v); err == nil {
		list = append(list, string(html[1:len(html)-1]))
	}
	var ascii strings.Builder
	for _, r := range plain {
		switch {
		case r < 0x80:
			ascii.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&ascii, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&ascii, `\u%04x`, r)
		}
	}
	return append(list, ascii.String())
}

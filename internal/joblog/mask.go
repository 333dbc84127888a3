package joblog

import (
	"bytes"
	"io"
	"slices"
	"strings"
)

// minSecret is the shortest value that is masked. Masking shorter ones would make a log unreadable and tell the value by
// its gaps.
const minSecret = 3

var mask = []byte("***")

// Masker writes a stream on with every occurrence of a secret replaced by "***", also one that is split over writes.
// Occurrences that overlap become one "***". Only the values themselves are found, and the values without their
// trailing newline: not encodings of them (base64, URL, JSON escapes). Values shorter than 3 bytes are not masked.
type Masker struct {
	w       io.Writer
	secrets [][]byte
	longest int
	carry   []byte // may be the beginning of a secret
	covered int    // how much of carry is already shown as "***"
}

// NewMasker masks secrets in what it writes to w.
func NewMasker(w io.Writer, secrets []string) *Masker {
	m := &Masker{w: w}
	for _, s := range secrets {
		for _, v := range []string{s, strings.TrimRight(s, "\r\n")} {
			if len(v) >= minSecret && !slices.ContainsFunc(m.secrets, func(b []byte) bool { return string(b) == v }) {
				m.secrets = append(m.secrets, []byte(v))
				m.longest = max(m.longest, len(v))
			}
		}
	}
	return m
}

// Write masks p. The last few bytes are held back while they may be the beginning of a secret.
func (m *Masker) Write(p []byte) (int, error) {
	if len(m.secrets) == 0 {
		return m.w.Write(p)
	}
	text := append(m.carry, p...)
	if err := m.emit(text, m.hold(text)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what was held back: the stream has ended.
func (m *Masker) Flush() error { return m.emit(m.carry, len(m.carry)) }

// hold finds where the text's end may be the beginning of a secret; len(text) if nowhere.
func (m *Masker) hold(text []byte) int {
	for i := max(0, len(text)-m.longest+1); i < len(text); i++ {
		for _, s := range m.secrets {
			if len(s) > len(text)-i && bytes.HasPrefix(s, text[i:]) {
				return i
			}
		}
	}
	return len(text)
}

// emit writes text up to the place hold, masked, and carries the rest.
func (m *Masker) emit(text []byte, hold int) error {
	spans := m.spans(text)
	var out []byte
	at, covered := 0, 0
	for _, s := range spans {
		if s.from >= hold && !(s.from == 0 && m.covered > 0) {
			break
		}
		out = append(out, text[at:min(s.from, hold)]...)
		if !(s.from == 0 && m.covered > 0) {
			out = append(out, mask...)
		}
		at = min(s.to, hold)
		covered = max(0, s.to-hold)
	}
	out = append(out, text[at:max(at, hold)]...)
	m.carry = append(m.carry[:0], text[hold:]...)
	m.covered = covered
	if len(out) == 0 {
		return nil
	}
	_, err := m.w.Write(out)
	return err
}

type span struct{ from, to int }

// spans lists where text is secret, merged, in order. What was covered before counts as one.
func (m *Masker) spans(text []byte) []span {
	var all []span
	if m.covered > 0 {
		all = append(all, span{0, m.covered})
	}
	for _, s := range m.secrets {
		for from := 0; ; {
			i := bytes.Index(text[from:], s)
			if i < 0 {
				break
			}
			all = append(all, span{from + i, from + i + len(s)})
			from += i + 1
		}
	}
	slices.SortFunc(all, func(a, b span) int { return a.from - b.from })
	merged := all[:0]
	for _, s := range all {
		if n := len(merged); n > 0 && s.from < merged[n-1].to {
			merged[n-1].to = max(merged[n-1].to, s.to)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

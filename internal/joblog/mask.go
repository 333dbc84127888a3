package joblog

import "io"

const (
	mask = "***"
	// minHeld is how many characters of an encoded secret must end a line for it to be held back until the next line tells
	// more. A character or two end a line by chance all the time, and lines are to be seen at once.
	minHeld = 8
	// maxBreak is how many bytes of line breaks may stand between two lines of one encoded text.
	maxBreak = 2
)

// Masker writes a stream on with every occurrence of a secret replaced by "***", also one that is split over writes.
// Occurrences that overlap become one "***". The last bytes are held back while they may be the beginning of a secret: at
// most some hundred, whatever the secrets are. The time it takes does not depend on the number of secrets.
type Masker struct {
	w       io.Writer
	secrets *Secrets

	text   []byte // not written yet; what searches have read and may still turn out to be secret
	spans  []span // where text is secret, in order and apart from each other
	plain  int32  // states of the searches
	coded  int32
	rest   int // characters that still belong to an encoded secret, whatever they are
	breaks int // line breaks at the end of text
	floor  int // an encoded secret is masked from here on only: the line before has been passed on
	out    []byte
}

// span is a secret stretch of the text. One that is shown has its "***" already.
type span struct {
	from, to int
	shown    bool
}

// NewMasker masks secrets in what it writes to w.
func NewMasker(w io.Writer, secrets []string) *Masker { return NewSecrets(secrets).Masker(w) }

// Write masks p.
func (m *Masker) Write(p []byte) (int, error) {
	if m.secrets == nil || m.secrets.plain == nil {
		return m.w.Write(p)
	}
	at := len(m.text)
	m.text = append(m.text, p...)
	for i := at; i < len(m.text); i++ {
		m.look(i)
		if m.secrets.encoded != nil {
			m.lookEncoded(i)
		}
	}
	if err := m.emit(m.hold()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what was held back: the stream has ended.
func (m *Masker) Flush() error {
	if m.secrets == nil || m.secrets.plain == nil {
		return nil
	}
	err := m.emit(len(m.text))
	m.text, m.spans = m.text[:0], m.spans[:0]
	m.plain, m.coded, m.rest, m.breaks, m.floor = 0, 0, 0, 0, 0
	return err
}

// look takes the next byte into the search for texts.
func (m *Masker) look(i int) {
	a := m.secrets.plain
	m.plain = a.step(m.plain, m.text[i])
	if n := &a.nodes[m.plain]; n.match > 0 {
		m.cover(i+1-int(n.match), i+1+int(n.tail))
	}
}

// lookEncoded takes the next byte into the search that passes over line breaks.
func (m *Masker) lookEncoded(i int) {
	a := m.secrets.encoded
	b := m.text[i]
	if b == '\n' || b == '\r' {
		if m.breaks++; m.breaks > maxBreak {
			m.coded, m.rest = 0, 0
		}
		if m.rest < minHeld { // a last character that is secret in part ends with its line
			m.rest = 0
		}
		if a.nodes[m.coded].depth < minHeld {
			m.floor = i + 1
		}
		return
	}
	if m.rest > 0 && !isCode[b] {
		m.rest = 0
	}
	if m.rest > 0 {
		m.rest--
		m.cover(max(0, i-m.breaks)-1, i+1) // from the last byte of the stretch that goes on
	}
	m.breaks = 0
	m.coded = a.step(m.coded, b)
	if n := &a.nodes[m.coded]; n.match > 0 {
		m.cover(max(m.floor, m.back(i+1, int(n.match))), i+1)
		m.rest = max(m.rest, int(n.tail))
	}
}

// isCode tells which characters base64 and hexadecimal digits are made of.
var isCode = func() (is [256]bool) {
	for _, b := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=") {
		is[b] = true
	}
	return is
}()

// back is the place that n bytes, line breaks not counted, lie before end.
func (m *Masker) back(end, n int) int {
	for ; end > 0 && n > 0; end-- {
		if b := m.text[end-1]; b != '\n' && b != '\r' {
			n--
		}
	}
	return end
}

// cover marks a stretch as secret. Stretches that overlap become one.
func (m *Masker) cover(from, to int) {
	s := span{from: from, to: to}
	for n := len(m.spans); n > 0 && s.from < m.spans[n-1].to; n-- {
		last := m.spans[n-1]
		s = span{from: min(s.from, last.from), to: max(s.to, last.to), shown: last.shown}
		m.spans = m.spans[:n-1]
	}
	m.spans = append(m.spans, s)
}

// hold is where the text's end begins that may be the beginning of a secret.
func (m *Masker) hold() int {
	at := len(m.text) - int(m.secrets.plain.nodes[m.plain].depth)
	if e := m.secrets.encoded; e != nil && m.coded != 0 {
		at = min(at, max(m.floor, m.back(len(m.text), int(e.nodes[m.coded].depth))))
	}
	if m.rest > 0 {
		at = min(at, len(m.text)-m.breaks) // whether they are inside, the next character tells
	}
	return at
}

// emit writes the text up to the place hold, masked, and keeps the rest.
func (m *Masker) emit(hold int) error {
	m.out = m.out[:0]
	at, kept := 0, m.spans[:0]
	for _, s := range m.spans {
		if s.from >= hold && !s.shown {
			kept = append(kept, span{from: s.from - hold, to: s.to - hold})
			continue
		}
		m.out = append(m.out, m.text[at:max(at, min(s.from, hold))]...)
		if !s.shown {
			m.out = append(m.out, mask...)
		}
		at = min(s.to, hold)
		if s.to > hold || s.to == hold && m.rest > 0 {
			kept = append(kept, span{from: 0, to: s.to - hold, shown: true})
		}
	}
	m.spans = kept
	m.out = append(m.out, m.text[at:max(at, hold)]...)
	m.text = append(m.text[:0], m.text[hold:]...)
	m.floor = max(0, m.floor-hold)
	if len(m.out) == 0 {
		return nil
	}
	_, err := m.w.Write(m.out)
	return err
}

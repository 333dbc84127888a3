package runner

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAnswerIsWhatTheProgramWrote(t *testing.T) {
	most := strings.Repeat("x", maxAnswer-1)
	for name, c := range map[string]struct {
		out, want string
		whole     bool
	}{
		"a line":                               {"ok\r\n", "ok", true},
		"Latin-1":                              {"M\xfcller\n", "M\uFFFDller", true},
		"nothing but foreign bytes":            {"\xff\xfe\n", "\uFFFD", true},
		"as much as may be":                    {most + "y", most + "y", true},
		"more, cut in a character":             {most + "ü", most, false},
		"more":                                 {most + "yz", most + "y", false},
		"foreign bytes that grow beyond it":    {strings.Repeat("\xffx", maxAnswer/2), "", false},
		"a character of four bytes at the end": {most[:maxAnswer-4] + "\U0001F600", most[:maxAnswer-4] + "\U0001F600", true},
	} {
		e := &Execution{}
		for out := []byte(c.out); len(out) > 0; { // in blocks, as it comes
			n := min(len(out), 32<<10)
			e.keep(out[:n])
			out = out[n:]
		}
		text, whole := e.Answer()
		if whole != c.whole || c.want != "" && text != c.want {
			t.Errorf("%s: %d bytes, whole %v; want %d", name, len(text), whole, len(c.want))
		}
		if len(text) > maxAnswer || !utf8.ValidString(text) {
			t.Errorf("%s: %d bytes, UTF-8 %v", name, len(text), utf8.ValidString(text))
		}
	}
}

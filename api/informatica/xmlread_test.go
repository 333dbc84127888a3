package informatica

import (
	"runtime"
	"strings"
	"testing"

	"waybill/internal/job"
)

// A text in many parts must not be copied once for each: its cost is of the order of its size.
func TestATextInManyPartsCostsNoMoreThanItsSize(t *testing.T) {
	for _, splitter := range []string{"<!---->", "<b/>", "<![CDATA[]]>"} {
		text := []byte("<login><username>" + strings.Repeat("aaaaaaaaaaaaaaaaaaaa"+splitter, 4000) + "</username></login>")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := parseXML(text); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(50*len(text)); got > most {
			t.Errorf("%s: %d bytes for a body of %d, want %d at most", splitter, got, len(text), most)
		}
	}
}

func TestPartsOfXMLAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"a head":                            {`<?xml version="1.0"?><?a b?><login><username>a</username></login>`, true},
		"comments":                          {`<login><!-- x --><username>a<!-- y -->b</username></login>`, true},
		"an instruction in a text":          {`<login><username>` + strings.Repeat("aaaaa<?a?>", 104_000) + `</username></login>`, false},
		"an instruction behind the root":    {`<login/><?a?>`, false},
		"more comments than anybody writes": {`<login><username>` + strings.Repeat("a<!---->", maxTokens/2+1) + `</username></login>`, false},
	} {
		var in loginBody
		err := readXML([]byte(c.text), &in)
		if (err == nil) != c.ok || err != nil && job.CodeOf(err) != job.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestXMLMayDeclareASCII(t *testing.T) {
	login := func(encoding, name string) string {
		return `<?xml version='1.0' encoding='` + encoding + `'?>` + "\n<login><username>" + name + "</username></login>"
	}
	for _, c := range []struct{ encoding, name, refused string }{
		{"ASCII", "dan", ""}, {"us-ascii", "dan", ""}, {"US-ASCII", "dan&#233;", ""},
		{"utf-8", "dané", ""}, {"UTF-8", "dané", ""}, {"utf8", "dané", ""},
		{"ascii", "dané", "The XML is not in the ASCII that it declares"},
		{"ISO-8859-1", "dan", "XML is taken in UTF-8 or ASCII"}, {"utf-16", "dan", "XML is taken in UTF-8 or ASCII"},
	} {
		var in loginBody
		err := readXML([]byte(login(c.encoding, c.name)), &in)
		if c.refused == "" && (err != nil || in.Username != "dan" && in.Username != "dané") {
			t.Errorf("%s: %q, %v", c.encoding, in.Username, err)
		}
		if c.refused != "" && (job.CodeOf(err) != job.Invalid || err.Error() != c.refused) {
			t.Errorf("%s: %v, want %s", c.encoding, err, c.refused)
		}
	}
}

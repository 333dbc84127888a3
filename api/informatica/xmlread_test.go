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

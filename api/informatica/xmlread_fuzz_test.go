package informatica

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"waybill/internal/job"
)

// FuzzReadXML holds that no body does harm: what is not taken is a bad body or a bad field, nothing is expanded, and what is taken comes out
// as well-formed XML again.
func FuzzReadXML(f *testing.F) {
	for _, text := range []string{
		`<job><taskId>1</taskId><taskType>MTT</taskType><runtime><parameterFileName>x</parameterFileName></runtime></job>`,
		`<?xml version="1.0" encoding="UTF-8"?><job><taskName>a &amp; b &#65;</taskName></job>`,
		`<!DOCTYPE job [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><job><taskId>&b;</taskId></job>`,
		`<job xmlns:x="y"><x:taskId>1</x:taskId><![CDATA[<taskId>]]></job>`, `<job><taskId>1`, strings.Repeat("<a>", 100), "", "\xff",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var body jobBody
		err := readXML(text, &body)
		if err != nil {
			var e *job.Error
			if !errors.As(err, &e) || e.Code != job.Invalid {
				t.Fatalf("%v", err)
			}
			return
		}
		if bytes.Contains(text, []byte("<!DOCTYPE")) && !bytes.Contains(text, []byte("<![CDATA[")) && !bytes.Contains(text, []byte("<!--")) && !bytes.Contains(text, []byte("<?")) {
			t.Fatal("a DOCTYPE was taken")
		}
		if len(body.TaskName) > len(text) || len(body.TaskID) > len(text) {
			t.Fatal("text was expanded")
		}
		out, err := asXML.encode(fault{Type: "error", Code: body.TaskID, Description: body.TaskName})
		if err != nil {
			t.Fatal(err)
		}
		for in := xml.NewDecoder(bytes.NewReader(out)); ; {
			if _, err := in.Token(); errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				t.Fatalf("%v in %s", err, out)
			}
		}
	})
}

package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"waybill/internal/job"
)

func TestMessages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"a text":              {[]string{`{"type":"message","name":"reply","body":"a\nb"}`}, `reply "a\nb" `},
		"without a body":      {[]string{`{"type":"message","name":"reply"}`, `{"type":"message","name":"r2","body":null}`}, `reply "" r2 "" `},
		"JSON as it is":       {[]string{`{"type":"message","name":"reply","body":{ "a" : [1, "x"] }}`}, `reply "{\"a\":[1,\"x\"]}" `},
		"properties, ordered": {[]string{`{"type":"message","name":"reply","properties":{"b":2,"a":"x","c":true}}`}, `reply "" a=x b=2 c=true `},
		"properties, a list":  {[]string{`{"type":"message","name":"reply","properties":[{"key":"b","value":"2"},{"key":"a","value":1}]}`}, `reply "" b=2 a=1 `},
		"the last of a name counts": {[]string{
			`{"type":"message","name":"a","body":"1"}`, `{"type":"message","name":"b","body":"2"}`, `{"type":"message","name":"a","body":"3"}`,
		}, `a "3" b "2" `},
		"from a file": {[]string{`{"type":"message","name":"reply","bodyFile":"/job/out/reply.xml"}`}, `reply "content of /job/out/reply.xml" `},
	} {
		col := newCollector(func(c *Config) {
			c.ReadFile = func(name string, _ int64) ([]byte, error) { return []byte("content of " + name), nil }
		})
		for _, l := range c.lines {
			col.Line([]byte(l))
		}
		if !col.Urgent() || !col.Pending() {
			t.Errorf("%s: nobody is told soon", name)
		}
		var b strings.Builder
		r := col.Take()
		for _, m := range r.Messages {
			fmt.Fprintf(&b, "%s %q ", m.Name, m.Body)
			for _, p := range m.Properties {
				fmt.Fprintf(&b, "%s=%s ", p.Key, p.Value)
			}
		}
		if b.String() != c.want || r.Warnings != nil {
			t.Errorf("%s: %s %v, want %s", name, b.String(), r.Warnings, c.want)
		}
		if col.Urgent() || col.Pending() || len(col.Take().Messages) != 0 {
			t.Errorf("%s: something is left", name)
		}
	}
}

func TestTheAnswerIsStandardOutputUnlessThereIsAMessage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ line, stdout, want string }{
		"a text":                    {"", "two\nlines", "two\nlines"},
		"JSON":                      {"", `{"total":3}`, `{"total":3}`},
		"its member out":            {"", ` {"out":{"total":3},"log":"x"}`, `{"total":3}`},
		"a text in out":             {"", `{"out":"7"}`, `"7"`},
		"no object":                 {"", `["out"]`, `["out"]`},
		"broken":                    {"", `{"out":1`, `{"out":1`},
		"a message counts as it is": {`{"type":"message","name":"out","body":{"out":1,"rows":2}}`, `{"out":3}`, `{"out":1,"rows":2}`},
	} {
		col := newCollector()
		if c.line != "" {
			col.Line([]byte(c.line))
		}
		col.Answer(c.stdout, true)
		if m := col.Take().Messages; len(m) != 1 || m[0].Name != job.AnswerMessage || m[0].Body != c.want {
			t.Errorf("%s: %+v, want %s", name, m, c.want)
		}
	}
}

func TestMessagesAndOutputsThatAreNotUnderstood(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`{"type":"message"}`:                                                                       string(badMessageName),
		`{"type":"message","name":"a/b"}`:                                                          string(badMessageName),
		`{"type":"message","name":".."}`:                                                           string(badMessageName),
		`{"type":"message","name":"files"}`:                                                        string(badMessageName),
		`{"type":"message","name":" x"}`:                                                           string(badMessageName),
		`{"type":"message","name":"x\u0000"}`:                                                      string(badMessageName),
		`{"type":"message","name":"` + strings.Repeat("x", 256) + `"}`:                             string(badMessageName),
		`{"type":"message","name":"x","body":"a","bodyFile":"b"}`:                                  string(twoBodies),
		`{"type":"message","name":"x","bodyFile":"b"}`:                                             "a bodyFile can not be read here",
		`{"type":"message","name":"x","body":"\u0000"}`:                                            "not text",
		`{"type":"message","name":"x","properties":{"":"v"}}`:                                      "key of a property",
		`{"type":"message","name":"x","properties":[{"key":"a"},{"key":"a"}]}`:                     "given twice",
		`{"type":"message","name":"x","properties":{"a":{}}}`:                                      string(notJSON),
		`{"type":"message","name":"x","properties":3}`:                                             string(notJSON),
		`{"type":"message","name":"x","properties":{"a":"` + strings.Repeat("x", 4001) + `"}}`:     "value of a property",
		`{"type":"message","name":"x","body":"` + strings.Repeat("x", job.MaxMessageBody+1) + `"}`: "is not kept",
		`{"type":"output","name":"x"}`:                                                             string(noValue),
		`{"type":"output","value":1}`:                                                              string(badOutputName),
		`{"type":"output","name":"x","value":"` + strings.Repeat("x", job.MaxOutValue) + `"}`:      "is not kept",
	} {
		r := taken(line)
		if len(r.Messages)+len(r.Values) != 0 || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], want) {
			t.Errorf("%.80s: %+v, want %s", line, r, want)
		}
	}
}

func TestAFileThatCanNotBeReadIsNotNamed(t *testing.T) {
	t.Parallel()
	c := newCollector(func(c *Config) {
		c.ReadFile = func(name string, _ int64) ([]byte, error) { return nil, errors.New("open " + name) }
	})
	for i := range 50 {
		c.Line([]byte(fmt.Sprintf(`{"type":"message","name":"x","bodyFile":"/secret/%d"}`, i)))
	}
	if r := c.Take(); len(r.Warnings) != 1 || strings.Contains(r.Warnings[0], "secret") || !strings.Contains(r.Warnings[0], "(50 lines") {
		t.Errorf("%v", r.Warnings)
	}
}

func TestMessagesAreBounded(t *testing.T) {
	t.Parallel()
	c := newCollector()
	for i := range job.MaxMessages + 5 {
		c.Line([]byte(fmt.Sprintf(`{"type":"message","name":"m%d","body":"x"}`, i)))
		c.Line([]byte(fmt.Sprintf(`{"type":"output","name":"m%d","value":%d}`, i, i)))
	}
	c.Line([]byte(`{"type":"message","name":"m0","body":"again"}`)) // one that is there may change
	r := c.Take()
	if len(r.Messages) != job.MaxMessages || len(r.Values) != job.MaxOutValues || len(r.Warnings) != 2 || r.Messages[0].Body != "again" {
		t.Errorf("%d messages, %d values, %v", len(r.Messages), len(r.Values), r.Warnings)
	}

	c = newCollector()
	large := strings.Repeat("x", job.MaxMessageBody)
	for i := range 7 {
		c.Line([]byte(fmt.Sprintf(`{"type":"message","name":"m%d","body":%q}`, i, large)))
	}
	c.Line([]byte(`{"type":"message","name":"m0","body":"small"}`)) // makes room
	c.Line([]byte(fmt.Sprintf(`{"type":"message","name":"m6","body":%q}`, large)))
	total := 0
	r = c.Take()
	for _, m := range r.Messages {
		total += m.Bytes()
	}
	if total > job.MaxMessageBytes || len(r.Messages) != 6 || r.Messages[5].Name != "m6" || len(r.Warnings) != 1 {
		t.Errorf("%d bytes in %d messages, %v", total, len(r.Messages), r.Warnings)
	}
}

func TestSecretsAreMaskedInOutputsWhicheverWayJSONWritesThem(t *testing.T) {
	t.Parallel()
	c := newCollector(func(c *Config) {
		c.Mask = func(s string) string {
			return strings.NewReplacer(`se"cret`, "***", "4711", "***", "schlüssel", "***").Replace(s)
		}
	})
	for i, line := range []string{`"a se\"cret"`, `"schl\u00fcssel"`, `{"se\"cret":["\u0073e\u0022cret",true,null,1.50]}`, `47110`, `"<&>"`} {
		c.Line([]byte(fmt.Sprintf(`{"type":"output","name":"v%d","value":%s}`, i, line)))
	}
	c.Line([]byte(`{"type":"message","name":"se\"cret","body":"se\"cret stays"}`))
	r := c.Take()
	want := []string{`"a ***"`, `"***"`, `{"***":["***",true,null,1.50]}`, `"***0"`, `"<&>"`}
	for i, v := range r.Values {
		if string(v.Value) != want[i] {
			t.Errorf("%d: %s, want %s", i, v.Value, want[i])
		}
	}
	if m := r.Messages[0]; m.Name != "***" || m.Body != `se"cret stays` {
		t.Errorf("%+v", m)
	}
}

func TestMessagesThatDidNotComeAreMissed(t *testing.T) {
	t.Parallel()
	c := newCollector()
	c.Line([]byte(`{"type":"message","name":"came"}`))
	c.Take()
	c.Expect([]string{"came"})
	if c.Pending() {
		t.Error("nothing is missing")
	}
	c.Expect([]string{"b", "came", "a", "b"})
	if r := c.Take(); len(r.Warnings) != 1 || r.Warnings[0] != "out_message_missing: b, a" {
		t.Errorf("%v", r.Warnings)
	}
}

func TestFilesAreToldWhenTheyChange(t *testing.T) {
	t.Parallel()
	c := newCollector()
	c.Files(nil)
	if c.Pending() {
		t.Error("no files are nothing new")
	}
	for _, files := range [][]job.Output{{{Name: "a", Size: 1}}, {{Name: "a", Size: 2}}, {{Name: "a", Size: 2}, {Name: "b"}}, {}} {
		c.Files(files)
		if r := c.Take(); !r.FilesSeen || len(r.Files) != len(files) {
			t.Errorf("%+v", r)
		}
		c.Files(files)
		if r := c.Take(); r.FilesSeen || r.Files != nil {
			t.Errorf("again: %+v", r)
		}
	}
}

// checkTalk is for FuzzLines: what is reported can be stored, and nothing breaks a bound.
func checkTalk(t *testing.T, r job.Report) {
	t.Helper()
	if len(r.Messages) > job.MaxMessages || len(r.Values) > job.MaxOutValues {
		t.Fatalf("%d messages, %d values", len(r.Messages), len(r.Values))
	}
	names, total := map[string]bool{}, 0
	for _, m := range r.Messages {
		total += m.Bytes()
		if names[m.Name] || job.CheckMessages("", []job.Message{m}) != nil {
			t.Fatalf("message %+v", m)
		}
		names[m.Name] = true
	}
	if total > job.MaxMessageBytes {
		t.Fatalf("%d bytes", total)
	}
	clear(names)
	for _, v := range r.Values {
		if names[v.Name] || !job.ValidOutputName(v.Name) || len(v.Value) > job.MaxOutValue || !json.Valid(v.Value) {
			t.Fatalf("value %+v", v)
		}
		names[v.Name] = true
	}
}

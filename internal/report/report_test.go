package report

import (
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"waybill/internal/job"
)

const jobID = job.ID("69b9209b00000000000000c1")

func newCollector(change ...func(*Config)) *Collector {
	c := Config{Job: jobID, Now: func() time.Time { return time.Date(2026, 3, 17, 9, 41, 0, 0, time.UTC) }}
	for _, f := range change {
		f(&c)
	}
	return NewCollector(c)
}

func taken(lines ...string) job.Report {
	c := newCollector()
	for _, l := range lines {
		c.Line([]byte(l))
	}
	return c.Take()
}

func stepsOf(r job.Report) string {
	var b strings.Builder
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "%d:%s:%s:%d/%d/%d/%d ", s.Index, s.Name, s.Status, s.RecordsRead, s.RecordsWritten, s.RecordsFailed, s.RecordsIgnored)
	}
	return strings.TrimSpace(b.String())
}

func TestSteps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"a step begins and ends": {[]string{`{"type":"step","name":"a","status":"started"}`, `{"type":"step","name":"a","status":"finished"}`}, "0:a:completed:0/0/0/0"},
		"one fails":              {[]string{`{"type":"step","name":"a","status":"failed","returnCode":3,"message":"no"}`}, "0:a:failed:0/0/0/0"},
		"counters are totals":    {[]string{`{"type":"counters","step":"a","read":5,"written":4}`, `{"type":"counters","step":"a","read":9,"failed":1}`}, "0:a:running:9/4/1/0"},
		"without a step they are main's": {[]string{`{"type":"counters","read":1}`, `{"type":"step","name":"a","status":"started"}`, `{"type":"counters","ignored":2}`},
			"0:main:running:1/0/0/0 1:a:running:0/0/0/2"},
		"the newest open step is meant": {[]string{
			`{"type":"step","name":"a","status":"started"}`, `{"type":"step","name":"b","status":"started"}`,
			`{"type":"counters","read":1}`, `{"type":"step","name":"b","status":"finished"}`, `{"type":"counters","read":2}`,
		}, "0:a:running:2/0/0/0 1:b:completed:1/0/0/0"},
		"a step may begin again": {[]string{`{"type":"step","name":"a","status":"failed"}`, `{"type":"step","name":"a","status":"started"}`}, "0:a:running:0/0/0/0"},
	} {
		if got := stepsOf(taken(c.lines...)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestReportsHoldWhatIsNew(t *testing.T) {
	t.Parallel()
	c := newCollector()
	c.Line([]byte(`{"type":"step","name":"a","status":"started"}`))
	c.Line([]byte(`{"type":"counters","step":"b","read":1}`))
	if got := stepsOf(c.Take()); got != "0:a:running:0/0/0/0 1:b:running:1/0/0/0" {
		t.Error(got)
	}
	if c.Pending() {
		t.Error("something is left")
	}
	c.Line([]byte(`{"type":"counters","step":"b","read":2}`))
	if r := c.Take(); stepsOf(r) != "1:b:running:2/0/0/0" || r.Warnings != nil {
		t.Errorf("%+v", r)
	}
	c.Line([]byte("x"))
	c.Line([]byte("y"))
	if r := c.Take(); len(r.Warnings) != 1 || !strings.HasSuffix(r.Warnings[0], "(2 lines, first line 4)") {
		t.Errorf("%v", r.Warnings)
	}
	c.Line([]byte(`{"type":"output","name":"x"}`))
	if r := c.Take(); len(r.Warnings) != 2 || r.Warnings[1] != "event_not_understood: an output without a value (1 line, first line 6)" {
		t.Errorf("%v: warnings are told all or not at all", r.Warnings)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	r := taken(
		`{"type":"step","name":"load","status":"started"}`,
		`{"type":"error","recordId":"r1","code":"E1","message":"no","traceKey":12,"data":{ "a" : [1, 2] }}`,
		`{"type":"error","message":"no id","data":null}`,
		`{"type":"error","recordId":12345678901234567890,"step":"other"}`,
	)
	if len(r.Errors) != 3 {
		t.Fatalf("%+v", r.Errors)
	}
	a, b, c := r.Errors[0], r.Errors[1], r.Errors[2]
	if a.RecordID != "r1" || a.Step != "load" || a.Code != "E1" || a.TraceKey != "12" || string(a.Data) != `{"a":[1,2]}` {
		t.Errorf("%+v", a)
	}
	if b.RecordID != string(jobID)+":3" || b.Data != nil || !b.OccurredAt.After(a.OccurredAt) {
		t.Errorf("%+v", b)
	}
	if c.RecordID != "12345678901234567890" || c.Step != "other" {
		t.Errorf("%+v", c)
	}
}

func TestLinesThatAreNotUnderstood(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"x", "[]", "1", "null", `"s"`, "{", `{"type":"step"}`, `{"type":"step","name":" ","status":"started"}`, `{"type":"step","name":"a","status":"done"}`,
		`{"type":"step","name":3,"status":"started"}`, `{}`, `{"type":"nonsense"}`, `{"type":1}`, `{"type":"progress"}`, `{"type":"progress","done":-1}`,
		`{"type":"counters","read":-1}`, `{"type":"counters","read":1.5}`, `{"type":"counters","read":1e30}`, `{"type":"error","recordId":{}}`,
		`{"type":"error","recordId":true}`, `{"type":"error","recordId":"a\u0000"}`, `{"type":"error","recordId":"` + strings.Repeat("x", 256) + `"}`,
	} {
		r := taken(line)
		if len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0], wordNotUnderstood) || len(r.Steps) > 0 || len(r.Errors) > 0 || r.Progress != nil {
			t.Errorf("%s: %+v", line, r)
		}
	}
	if c := newCollector(); true {
		c.Line([]byte(" \t\r"))
		if c.Pending() {
			t.Error("an empty line is told")
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	c := newCollector(func(c *Config) { c.MaxErrors = 2 })
	for i := range job.MaxSteps + 2 {
		c.Line(fmt.Appendf(nil, `{"type":"counters","step":"s%d","read":9000000000000000000}`, i))
	}
	for i := range 4 {
		c.Line(fmt.Appendf(nil, `{"type":"error","recordId":%d,"step":"s1","message":"%s","data":"%s"}`, i, strings.Repeat("ä", 3000), strings.Repeat("x", job.MaxRecordData)))
	}
	c.Line([]byte(`{"type":"error","recordId":"new","step":"one more"}`))
	r := c.Take()
	if len(r.Steps) != job.MaxSteps || len(r.Errors) != 2 {
		t.Errorf("%d steps, %d errors", len(r.Steps), len(r.Errors))
	}
	var sum int64
	for _, s := range r.Steps {
		if sum += s.RecordsRead; sum < 0 {
			t.Fatal("the sum overflows")
		}
	}
	if e := r.Errors[0]; e.Data != nil || len(e.Message) != job.MaxErrorText {
		t.Errorf("%d bytes of data, %d of message", len(e.Data), len(e.Message))
	}
	want := []string{"event_limit: more than 1000 steps (2 lines", "event_limit: data of more than 32768 bytes is not kept (2 lines", "event_limit: more than 2 errors (3 lines"}
	for i, w := range want {
		if i >= len(r.Warnings) || !strings.HasPrefix(r.Warnings[i], w) {
			t.Errorf("warnings %q, want %q", r.Warnings, want)
			break
		}
	}
}

func TestSecretsAreHiddenButInData(t *testing.T) {
	t.Parallel()
	c := newCollector(func(c *Config) { c.Mask = func(s string) string { return strings.ReplaceAll(s, "s3cret", "***") } })
	c.Line([]byte(`{"type":"error","recordId":"r","step":"s3cret","code":"s3cret","message":"s3cret","traceKey":"s3cret","data":"s3cret"}`))
	c.Line([]byte(`{"type":"step","name":"s3cret","status":"failed","message":"s3cret"}`))
	r := c.Take()
	shown := fmt.Sprintf("%+v %+v", r.Steps, r.Errors[0].Code+r.Errors[0].Message+r.Errors[0].Step+r.Errors[0].TraceKey)
	if strings.Contains(shown, "s3cret") || string(r.Errors[0].Data) != `"s3cret"` {
		t.Errorf("%s, data %s", shown, r.Errors[0].Data)
	}
}

// file is a file in memory that grows.
type file struct{ text string }

func (f *file) ReadAt(p []byte, at int64) (int, error) {
	return strings.NewReader(f.text).ReadAt(p, at)
}
func (f *file) Stat() (fs.FileInfo, error) { return size(len(f.text)), nil }

type size int64

func (s size) Size() int64        { return int64(s) }
func (s size) Name() string       { return "" }
func (s size) Mode() fs.FileMode  { return 0 }
func (s size) ModTime() time.Time { return time.Time{} }
func (s size) IsDir() bool        { return false }
func (s size) Sys() any           { return nil }

func read(t *testing.T, tail *Tail, c *Collector) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = tail.Read(c); err != nil && err != io.EOF {
			t.Fatal(err)
		}
	}
}

func TestTailFollowsAFile(t *testing.T) {
	t.Parallel()
	const text = `{"type":"counters","read":1}` + "\n\n" + `{"type":"counters","written":2}` + "\r\n" + `{"type":"counters","failed":3}`
	for step := 1; step <= len(text); step += 3 {
		f, c := &file{}, newCollector()
		tail := NewTail(f)
		for end := 0; end < len(text); end += step {
			f.text = text[:end]
			read(t, tail, c)
		}
		f.text = text
		read(t, tail, c)
		if got := stepsOf(c.Take()); got != "0:main:running:1/2/0/0" && step < len(text) {
			t.Errorf("in steps of %d: %s", step, got)
		}
		tail.Last(c)
		if got := stepsOf(c.Take()); got != "0:main:running:1/2/3/0" || c.Pending() {
			t.Errorf("in steps of %d, at the end: %s", step, got)
		}
	}
}

func TestTailPassesOverLongLines(t *testing.T) {
	t.Parallel()
	pad := func(n int) string {
		return `{"type":"counters","read":1,"x":"` + strings.Repeat("x", n-len(`{"type":"counters","read":1,"x":""}`)) + `"}` + "\n"
	}
	f, c := &file{text: pad(maxLine) + pad(maxLine+1) + pad(3*maxLine) + `{"type":"counters","written":1}` + "\n" + strings.Repeat("y", 2*maxLine)}, newCollector()
	tail := NewTail(f)
	read(t, tail, c)
	tail.Last(c)
	r := c.Take()
	if stepsOf(r) != "0:main:running:1/1/0/0" || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "1048576 bytes (3 lines, first line 2)") {
		t.Errorf("%s, %v", stepsOf(r), r.Warnings)
	}
}

func TestTailStartsAnewWhenTheFileIsCutOff(t *testing.T) {
	t.Parallel()
	f, c := &file{text: `{"type":"counters","read":1}` + "\n" + `{"type"`}, newCollector()
	tail := NewTail(f)
	read(t, tail, c)
	f.text = `{"type":"counters","read":2}` + "\n"
	read(t, tail, c)
	r := c.Take()
	if stepsOf(r) != "0:main:running:2/0/0/0" || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "append only") {
		t.Errorf("%s, %v", stepsOf(r), r.Warnings)
	}
}

func TestTailEndsAtItsLimit(t *testing.T) {
	t.Parallel()
	f, c := &file{}, newCollector()
	tail := NewTail(f)
	tail.limit = 1000
	for i := range 100 {
		f.text += fmt.Sprintf(`{"type":"counters","read":%d}`+"\n", i)
		read(t, tail, c)
	}
	r := c.Take()
	if r.Steps[0].RecordsRead == 99 || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "limit") {
		t.Errorf("%s, %v", stepsOf(r), r.Warnings)
	}
}

func TestATurnIsBounded(t *testing.T) {
	t.Parallel()
	f, c := &file{text: strings.Repeat(`{"type":"counters","read":1}`+"\n", 3*maxTurn/29)}, newCollector()
	tail := NewTail(f)
	turns := 1
	for {
		more, err := tail.Read(c)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
		turns++
	}
	if turns != 3 {
		t.Errorf("%d turns", turns)
	}
}

// Whatever a program writes, nothing breaks a bound or a sum, and what is reported can be stored.
func FuzzLines(f *testing.F) {
	for _, s := range []string{
		`{"type":"step","name":"a","status":"started"}` + "\n" + `{"type":"counters","read":1}`, "\x00\n{}\n\xff", `{"type":"error","recordId":"\ud800","data":{"a":"\u0000"}}`,
		`{"type":"error","recordId":1e400,"message":"\u0007"}`, `{"type":"progress","done":9223372036854775807,"total":1}`, `{"type":"output"}`, `{"type":"message","name":3}`,
		`{"type":"message","name":"a","body":"x\u0000","properties":{"k":[]}}` + "\n" + `{"type":"message","name":"a","bodyFile":"/etc/passwd"}`,
		`{"type":"output","name":"a","value":{"a":[1e999,"\ud800"]}}` + "\n" + `{"type":"message","name":"m","properties":[{"key":"k","value":true}]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := newCollector(func(c *Config) {
			c.MaxErrors = 5
			c.ReadFile = func(name string, limit int64) ([]byte, error) { return []byte(name)[:min(len(name), int(limit))], nil }
			c.Mask = func(s string) string { return strings.ReplaceAll(s, "key", "***") }
		})
		tail := NewTail(&file{text: text})
		for more := true; more; {
			more, _ = tail.Read(c)
		}
		tail.Last(c)
		r := c.Take()
		if c.Pending() || len(r.Errors) > 5 || len(r.Steps) > job.MaxSteps || len(r.Warnings) > 20 {
			t.Fatalf("%+v", r)
		}
		checkTalk(t, r)
		names := map[string]bool{}
		for i, s := range r.Steps {
			if s.Index != i || s.Name == "" || len(s.Name) > job.MaxStepName || names[s.Name] || s.RecordsRead < 0 || s.RecordsRead > maxCount {
				t.Fatalf("step %+v", s)
			}
			names[s.Name] = true
		}
		for _, e := range r.Errors {
			if e.RecordID == "" || len(e.RecordID) > job.MaxRecordID || !names[e.Step] || len(e.Data) > job.MaxRecordData || len(e.Message) > job.MaxErrorText {
				t.Fatalf("error %+v", e)
			}
		}
	})
}

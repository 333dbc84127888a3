package native_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"waybill/internal/control/controltest"
)

// logLines makes a log of a line a second, some of them long.
func logLines(n int) []string {
	lines := make([]string, n)
	for i := range lines {
		at := time.Date(2026, 3, 17, 9, 0, i, 123e6, time.UTC)
		lines[i] = at.Format("2006-01-02T15:04:05.000Z ") + fmt.Sprintf("line %d %s\n", i, strings.Repeat("x", i%7*(i%200)))
	}
	return lines
}

func TestPartsOfALog(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.start(f.config("sample config", "run.sh"))
	lines := logLines(4000)
	f.Logs.Append(id, strings.Join(lines, ""))
	f.play(id, 0)
	log := "/api/jobs/" + string(id) + "/log"
	from := func(n int) string { return strings.Join(lines[n:], "") }
	ago := func(n int) string { // the fixture's clock stands still at 9:40:58 or so
		return f.Now().Sub(time.Date(2026, 3, 17, 9, 0, n, 0, time.UTC)).String()
	}
	cases := []struct {
		name, query, want string
	}{
		{"no line", "tail=0", ""},
		{"one line", "tail=1", from(3999)},
		{"some lines", "tail=1500", from(2500)},
		{"all lines", "tail=4000", from(0)},
		{"more lines than there are", "tail=100000", from(0)},
		{"since before all", "since=2026-03-17T08:00:00Z", from(0)},
		{"since the first line", "since=2026-03-17T09:00:00.123Z", from(0)},
		{"since a line", "since=2026-03-17T09:10:00Z", from(600)},
		{"since just after a line", "since=" + url.QueryEscape("2026-03-17T09:10:00.124Z"), from(601)},
		{"since a date of the vendor's", "since=" + url.QueryEscape("Mar 17, 2026 9:30:00 AM"), from(1800)},
		{"since a number", fmt.Sprint("since=", time.Date(2026, 3, 17, 10, 0, 0, 0, time.UTC).Unix()), from(3600)},
		{"since the last line", "since=2026-03-17T10:06:39Z", from(3999)},
		{"since after all", "since=2026-03-17T11:00:00Z", ""},
		{"since a duration", "since=" + ago(2000), from(2000)},
		{"the last lines of those since", "since=2026-03-17T10:00:00Z&tail=10", from(3990)},
		{"fewer lines since than the last", "since=2026-03-17T10:06:30Z&tail=100", from(3990)},
		{"followed", "since=2026-03-17T10:00:00Z&follow=true", from(3600)},
		{"followed from the end", "tail=0&follow=true", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if r := f.do("GET", log+"?"+c.query, nil); r.Code != 200 || r.text != c.want {
				t.Errorf("%d: %d bytes, %.60q; want %d, %.60q", r.Code, len(r.text), r.text, len(c.want), c.want)
			}
		})
	}
	for _, query := range []string{"tail=-1", "tail=x", "since=yesterday", "ansi=red", "format=pdf", "follow=true&format=zip", "follow=true&attempt=1"} {
		f.do("GET", log+"?"+query, nil).fault(t, 400, "invalid_field", "")
	}
}

func TestALogFollowedFromItsLastLines(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	server := httptest.NewServer(f.server)
	t.Cleanup(server.Close)
	id := f.start(f.config("sample config", "run.sh"))
	f.Logs.Append(id, "2026-03-17T09:40:58.000Z one\n2026-03-17T09:40:58.001Z two\n")
	fence := f.Take(t, 1, id)
	answer := f.open(t, server, "/api/jobs/"+string(id)+"/log?follow=true&tail=1")
	f.Logs.Append(id, "2026-03-17T09:40:59.000Z \x1b[1mthree\x1b[0m\n")
	f.Finish(t, 1, id, fence, controltest.Exit(0))
	got, err := io.ReadAll(answer.Body)
	if want := "2026-03-17T09:40:58.001Z two\n2026-03-17T09:40:59.000Z \x1b[1mthree\x1b[0m\n"; err != nil || string(got) != want {
		t.Errorf("got %q %v", got, err)
	}
}

func TestSequencesOfTerminalsAreStripped(t *testing.T) {
	t.Parallel()
	const stamp = "2026-03-17T09:40:58.000Z "
	cases := []struct{ name, text, want string }{
		{"colours", "\x1b[31;1mred\x1b[0m and \x1b[38;2;1;2;3mmore\x1b[m\n", "red and more\n"},
		{"cursor", "10%\x1b[2K\x1b[1G20%\r\n", "10%20%\r\n"},
		{"title", "\x1b]0;a title\x07text \x1b]8;;https://x.example\x1b\\link\x1b]8;;\x1b\\\n", "text link\n"},
		{"device control", "a\x1bPq#0;2;0;0;0\x1b\\b\n", "ab\n"},
		{"two characters", "\x1b7\x1b(B\x1b=x\x1b8\n", "x\n"},
		{"other bytes stay", "\xff\x00é漢\x9b1m\tb\a\n", "\xff\x00é漢\x9b1m\tb\a\n"},
		{"one that goes on with a character", "\x1b[1éa\n", "\xc3\xa9a\n"},
		{"one without an end", "\x1b]0;for ever\n" + stamp + "next\n", "\n" + stamp + "next\n"},
		{"at the end", "x\x1b[", "x"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			id := f.start(f.config("sample config", "run.sh"))
			f.Logs.Append(id, stamp+c.text)
			f.play(id, 0)
			log := "/api/jobs/" + string(id) + "/log"
			if r := f.do("GET", log+"?ansi=strip", nil); r.Code != 200 || r.text != stamp+c.want {
				t.Errorf("%d %q, want %q", r.Code, r.text, stamp+c.want)
			}
			if r := f.do("GET", log+"?ansi=keep", nil); r.text != stamp+c.text {
				t.Errorf("kept: %q", r.text)
			}
		})
	}
}

// A followed log comes byte by byte, so that sequences are cut anywhere.
func TestSequencesAreStrippedHoweverTheyAreCut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	server := httptest.NewServer(f.server)
	t.Cleanup(server.Close)
	id := f.start(f.config("sample config", "run.sh"))
	fence := f.Take(t, 1, id)
	answer := f.open(t, server, "/api/jobs/"+string(id)+"/log?follow=true&ansi=strip&zoneid=Asia/Kolkata")
	go func() {
		for _, c := range []byte("2026-03-17T23:30:00.123Z \x1b[1;31mö\x1b]0;t\x1b\\ne\x1b[0m\n") {
			f.Logs.Append(id, string([]byte{c}))
			f.Jobs.Bell.Ring(id)
		}
		f.Finish(t, 1, id, fence, controltest.Exit(0))
	}()
	got, err := io.ReadAll(answer.Body)
	if want := "2026-03-18T05:00:00.123+05:30 öne\n"; err != nil || string(got) != want {
		t.Errorf("got %q %v, want %q", got, err, want)
	}
}

func TestFormatsOfALog(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.start(f.config("sample config", "run.sh"))
	text := strings.Join(logLines(3000), "") + "\x1b[1mend\x1b[0m"
	f.Logs.Append(id, text)
	f.play(id, 0)
	log := "/api/jobs/" + string(id) + "/log"
	name := "job-" + string(id)
	for query, want := range map[string][2]string{
		"":             {"application/octet-stream", name + ".log"},
		"?format=raw":  {"application/octet-stream", name + ".log"},
		"?format=text": {"text/plain; charset=utf-8", name + ".txt"},
		"?format=zip":  {"application/zip", name + ".zip"},
	} {
		r := f.do("GET", log+query, nil)
		if h := r.Header(); r.Code != 200 || h.Get("Content-Type") != want[0] || h.Get("Content-Disposition") != `attachment; filename="`+want[1]+`"` {
			t.Errorf("%q: %d %v", query, r.Code, h)
		}
	}
	if r := f.do("GET", log+"?format=text", nil, header("Range", "bytes=0-9")); r.Code != 206 || r.text != text[:10] {
		t.Errorf("a range of the text: %d %q", r.Code, r.text)
	}
	packed := f.do("GET", log+"?format=zip&ansi=strip&tail=1", nil)
	if got := unzip(t, packed.text, name+".log"); got != "end" {
		t.Errorf("packed, the last line stripped: %q", got)
	}
	packed = f.do("GET", log+"?format=zip", nil)
	if got := unzip(t, packed.text, name+".log"); got != text || len(packed.text) > len(text)/2 {
		t.Errorf("packed: %d bytes of %d, unpacked %d", len(packed.text), len(text), len(got))
	}
}

func unzip(t *testing.T, pack, name string) string {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader([]byte(pack)), int64(len(pack)))
	if err != nil || len(r.File) != 1 || r.File[0].Name != name {
		t.Fatalf("%v, %v", r, err)
	}
	in, err := r.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheLogOfOneAttempt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.start(f.config("sample config", "run.sh"))
	fence := f.Take(t, 1, id)
	f.Logs.Begin(id, fence)
	f.Logs.Append(id, "2026-03-17T09:40:58.000Z one\n2026-03-17T09:40:58.000Z two\n")
	f.Finish(t, 1, id, fence, controltest.Exit(0))
	log := "/api/jobs/" + string(id) + "/log?attempt="
	if r := f.do("GET", log+"1&tail=1", nil); r.text != "2026-03-17T09:40:58.000Z two\n" ||
		r.Header().Get("Content-Disposition") != `attachment; filename="job-`+string(id)+`-attempt-1.log"` {
		t.Errorf("%d %q %v", r.Code, r.text, r.Header())
	}
	for _, n := range []string{"2", "x"} {
		f.do("GET", log+n, nil).fault(t, 404, "not_found", "")
	}
}

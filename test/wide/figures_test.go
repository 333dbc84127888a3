package wide

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What BenchmarkObjects measures.
const (
	figureLines     = 30
	figureBytes     = 256 << 20
	figureDownloads = 5
)

// ticking prints the time, in nanoseconds, now and then.
const ticking = `#!/bin/sh
n=0
while [ $n -lt 31 ]; do n=$((n + 1)); date +%s%N; sleep 0.7; done
`

// BenchmarkObjects measures how late the lines of a log are that somebody follows, and downloads through an API process beside those
// that it sends to the object store, once; docs/performance.md has what it found:
//
//	go test ./test/wide -run '^$' -bench Objects -benchtime 1x
func BenchmarkObjects(b *testing.B) {
	in := install(b, shape{apis: 2, workers: 1, env: []string{"WAYBILL_S3_PUBLIC_ENDPOINT=http://" + components(b).objectsAt}})
	m := newMeasure(b, func() string { return in.apis[1].url })
	m.logLatency(b)
	m.downloads(b)
	in.stop(b)
}

// logLatency follows a log and compares when a line was printed with when it came.
func (m *measure) logLatency(b *testing.B) {
	b.Helper()
	config := m.client.configure(b, "ticking", ticking, nil)
	id := m.client.must(b, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+config+"/jobs", nil).text("id")
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	resp, err := m.get(ctx, plain, "/api/jobs/"+id+"/log?follow=true")
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	began := time.Now()
	var took []time.Duration
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		printed, err := strconv.ParseInt(words[len(words)-1], 10, 64)
		if err != nil || printed < 1e18 {
			continue // not the program's
		}
		took = append(took, time.Since(time.Unix(0, printed)))
	}
	if len(took) <= figureLines {
		b.Fatalf("only %d lines came", len(took))
	}
	took = took[1:] // the first one comes before anybody listens
	m.print(b, "a line of a followed log", took, time.Since(began))
	fmt.Printf("%-28s longest %.1f ms\n", "Objects", float64(took[len(took)-1])/1e6) // print has put them in order
}

// downloads fetches one file again and again, both ways in turn.
func (m *measure) downloads(b *testing.B) {
	b.Helper()
	body := make([]byte, figureBytes)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(body) // it never fails
	config := m.client.must(b, http.StatusCreated, http.MethodPost, "/api/jobconfigs", object{"name": "large"}).text("id")
	m.client.must(b, http.StatusCreated, http.MethodPost, "/api/jobconfigs/"+config+"/files?key=large.bin", body)
	stays := &http.Client{Transport: plain.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	path := "/api/jobconfigs/" + config + "/files/large.bin"
	fetch := func(query string, status int) time.Duration {
		began := time.Now()
		resp, err := m.get(b.Context(), stays, path+query)
		if err != nil {
			b.Fatal(err)
		}
		defer func() { resp.Body.Close() }()
		if resp.StatusCode != status {
			b.Fatalf("%s answers %s", path+query, resp.Status)
		}
		if status == http.StatusTemporaryRedirect {
			resp.Body.Close()
			if resp, err = m.get(b.Context(), stays, resp.Header.Get("Location")); err != nil {
				b.Fatal(err)
			}
		}
		n, err := io.Copy(new(count), resp.Body)
		if err != nil || n != figureBytes {
			b.Fatal(errors.Join(err, fmt.Errorf("%d bytes came of %s", n, path+query)))
		}
		return time.Since(began)
	}
	var through, direct []time.Duration
	for range figureDownloads {
		through, direct = append(through, fetch("", http.StatusOK)), append(direct, fetch("?redirect=true", http.StatusTemporaryRedirect))
	}
	for what, took := range map[string][]time.Duration{"download through the API": through, "download from the store": direct} {
		var all time.Duration
		for _, d := range took {
			all += d
		}
		m.print(b, what, took, all)
		fmt.Printf("%-28s %s: %.0f MB/s\n", "Objects", what, float64(len(took))*figureBytes/1e6/all.Seconds())
	}
}

// count takes bytes and keeps none.
type count int64

func (c *count) Write(p []byte) (int, error) { *c += count(len(p)); return len(p), nil }

// get asks a path of the API with the caller's token, or an address elsewhere without.
func (m *measure) get(ctx context.Context, by *http.Client, where string) (*http.Response, error) {
	own := strings.HasPrefix(where, "/")
	if own {
		where = m.client.base() + where
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, bytes.NewReader(nil))
	if err == nil && own {
		req.Header.Set("Authorization", "Bearer "+m.client.token)
	}
	if err != nil {
		return nil, err
	}
	return by.Do(req)
}

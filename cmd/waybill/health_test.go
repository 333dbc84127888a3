package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthTellsByItsExitCode(t *testing.T) {
	t.Parallel()
	status, says := http.StatusOK, `{"status":"degraded"}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(says))
	}))
	t.Cleanup(server.Close)
	health := func(args ...string) (int, string) {
		var out, errs bytes.Buffer
		code := run(context.Background(), func() {}, append([]string{"health"}, args...), &out, &errs)
		return code, out.String() + errs.String()
	}
	if code, text := health(server.URL + "/readyz"); code != exitOK || !strings.Contains(text, says) {
		t.Errorf("ready: %d %s", code, text)
	}
	if code, text := health("--dependencies", server.URL); code != exitFailed || !strings.Contains(text, says) {
		t.Errorf("ready, with a dependency down: %d %s", code, text)
	}
	says = "hello"
	if code, text := health("--dependencies", server.URL); code != exitFailed {
		t.Errorf("something else: %d %s", code, text)
	}
	says = `{"status":"up"}`
	if code, text := health("--dependencies", server.URL); code != exitOK {
		t.Errorf("ready, with all it depends on: %d %s", code, text)
	}
	status = http.StatusServiceUnavailable
	if code, text := health(server.URL); code != exitFailed || !strings.Contains(text, "status") {
		t.Errorf("not ready: %d %s", code, text)
	}
	server.Close()
	if code, text := health(server.URL); code != exitFailed || !strings.Contains(text, "refused") {
		t.Errorf("absent: %d %s", code, text)
	}
	for _, args := range [][]string{{"127.0.0.1:8080"}, {"ftp://x"}, {"http://"}, {"http://a", "http://b"}} {
		if code, text := health(args...); code != exitUsage {
			t.Errorf("%q: %d %s", args, code, text)
		}
	}
}

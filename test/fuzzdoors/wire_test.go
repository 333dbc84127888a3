package fuzzdoors

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// wire serves the world on a real socket, with the limits of internal/app.
func wire(t *testing.T, w *world) string {
	t.Helper()
	s := httptest.NewUnstartedServer(w.server)
	s.Config.ReadHeaderTimeout, s.Config.IdleTimeout, s.Config.MaxHeaderBytes = 10*time.Second, 2*time.Minute, 64<<10
	s.Config.ErrorLog = nil
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// converse writes bytes to the server, says that no more come, and reads its answers to the end.
func converse(t *testing.T, address, sent string) (answers []*http.Response, bodies []string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	go func() { // the server may answer, and close, before it has read all
		_, _ = io.WriteString(conn, sent)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	for r := bufio.NewReader(conn); ; {
		a, err := http.ReadResponse(r, nil)
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Errorf("no answer to %.200q", sent)
			}
			return answers, bodies
		}
		body, err := io.ReadAll(a.Body)
		if err != nil {
			return answers, bodies
		}
		answers, bodies = append(answers, a), append(bodies, string(body))
	}
}

// Requests that two readers may read differently: a proxy that takes one for something else than we do lets a second one through, unseen.
// Each is answered once with an error, the connection is closed, and what stands behind it is not executed.
func TestRequestsThatCanBeReadInTwoWaysAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	address := wire(t, w)
	const smuggled = "GET /api/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	head := "POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	for name, request := range map[string]string{
		"two lengths":              head + "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}" + smuggled,
		"a list of lengths":        head + "Content-Length: 2, 40\r\n\r\n{}" + smuggled,
		"a signed length":          head + "Content-Length: +2\r\n\r\n{}" + smuggled,
		"a negative length":        head + "Content-Length: -2\r\n\r\n{}" + smuggled,
		"a length in hex":          head + "Content-Length: 0x2\r\n\r\n{}" + smuggled,
		"a length too large":       head + "Content-Length: 99999999999999999999\r\n\r\n{}" + smuggled,
		"unknown encoding":         head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + smuggled,
		"chunked twice":            head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"chunked and more":         head + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + smuggled,
		"space before the colon":   head + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"tab in a name":            head + "Transfer\tEncoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"a chunk's size is no hex": head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n" + smuggled,
		"a chunk's size too large": head + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n" + smuggled,
		"a chunk ends elsewhere":   head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n" + smuggled,
		"NUL in a header":          head + "X-A: a\x00b\r\nContent-Length: 0\r\n\r\n" + smuggled,
		"CR in a header":           head + "X-A: a\rTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n" + smuggled,
		"two hosts":                "GET /api/jobs HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + smuggled,
		"no host":                  "GET /api/jobs HTTP/1.1\r\n\r\n" + smuggled,
		"a host that is none":      "GET /api/jobs HTTP/1.1\r\nHost: a b/c\r\n\r\n" + smuggled,
		"no version":               "GET /api/jobs\r\n\r\n" + smuggled,
		"another version":          "GET /api/jobs HTTP/9.9\r\nHost: x\r\n\r\n" + smuggled,
		"no method":                " /api/jobs HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled,
		"a blank in the target":    "GET /api/jobs x HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled,
		"control in the target":    "GET /api/\x01jobs HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled,
		"half an escape":           "GET /api/jobs/%z HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled,
		"headers without end":      "GET /api/jobs HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 200<<10) + "\r\n\r\n" + smuggled,
		"too many headers":         "GET /api/jobs HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: a\r\n", 20_000) + "\r\n" + smuggled,
		"not HTTP at all":          "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + smuggled,
	} {
		t.Run(name, func(t *testing.T) {
			answers, bodies := converse(t, address, request)
			if len(answers) > 1 {
				t.Fatalf("%d answers: %q", len(answers), bodies)
			}
			for i, a := range answers {
				// 501 and 505 are the HTTP server's own words for encodings and versions that it does not know.
				if a.StatusCode < 400 || a.StatusCode >= 500 && a.StatusCode != 501 && a.StatusCode != 505 || strings.Contains(bodies[i], "smuggled") {
					t.Errorf("%d %s", a.StatusCode, bodies[i])
				}
			}
		})
	}
	// Both a length and chunks: the chunks count (RFC 9112, 6.3), and nothing behind them is taken for a request.
	answers, bodies := converse(t, address, head+"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"+smuggled)
	if len(answers) > 1 || len(answers) == 1 && answers[0].StatusCode != 400 {
		t.Errorf("a length and chunks: %d answers: %q", len(answers), bodies)
	}
	if text := w.log.take(); strings.Contains(text, "panic") {
		t.Error(text)
	}
}

// Paths that are something else to somebody who cleans them up: each is an unknown route, or an unknown id, in the door's shape.
func TestPathTricksAreUnknownRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	address := wire(t, w)
	for _, d := range w.documents() {
		base := kits[d.name].base
		for _, path := range []string{
			"/%2e%2e/healthz", "/../healthz", "/./login", "//login", "/user//login", "/login/", "/login//", "/%6cogin/", "/login%00", "/login%2f", "/login;x=1", "/login%3fx", "/LOGIN", "/login%20",
			"/%c0%ae%c0%ae/healthz", "/%e0%80%af", "/%252e%252e/healthz", "/..%5c..%5cx", "/\\..\\x", "/" + strings.Repeat("a/", 3000), "/" + strings.Repeat("%61", 9000), "/%ff%fe", "/💥", "/*", "/:id", "/{id}",
		} {
			for _, method := range []string{"GET", "POST", "DELETE", "TRACE", "BREW"} {
				answers, bodies := converse(t, address, fmt.Sprintf("%s %s%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", method, base, path))
				if len(answers) != 1 {
					t.Errorf("%s %.80s: %d answers", method, path, len(answers))
					continue
				}
				a := answers[0]
				if a.StatusCode < 400 || a.StatusCode >= 500 {
					t.Errorf("%s %.80s: %d %s", method, base+path, a.StatusCode, bodies[0])
				}
				if a.StatusCode == 400 && !strings.HasPrefix(a.Header.Get("Content-Type"), "application/") && a.Header.Get("X-Request-Id") == "" {
					continue // the HTTP server's own: it was no request
				}
				recorded := httptest.NewRecorder()
				maps.Copy(recorded.Header(), a.Header)
				recorded.WriteHeader(a.StatusCode)
				recorded.Body.WriteString(bodies[0])
				if err := kits[d.name].shape(recorded, nil); err != nil {
					t.Errorf("%s %.80s: %d %s: %v", method, base+path, a.StatusCode, bodies[0], err)
				}
			}
		}
	}
	if text := w.log.take(); strings.Contains(text, "panic") {
		t.Error(text)
	}
}

package webhook_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"waybill/internal/webhook"
	"waybill/internal/webhook/guard"
)

func open(c webhook.Config) *webhook.Sender {
	c.Guard.AllowPrivate, c.UserAgent = true, "Waybill/test"
	return webhook.New(c)
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// fails makes a call that must have no answer, and gives what is said of it.
func fails(t *testing.T, s *webhook.Sender, url string) *webhook.Fault {
	t.Helper()
	answer, err := s.Send(t.Context(), webhook.Call{URL: url, Method: "POST", Body: "{}"})
	var fault *webhook.Fault
	if !errors.As(err, &fault) {
		t.Fatalf("answer %+v, %v", answer, err)
	}
	if strings.Contains(fault.Error(), "127.0.0.1") || strings.Contains(fault.Error(), "secret-in-query") {
		t.Errorf("the fault tells an address: %s", fault)
	}
	return fault
}

func TestACallCarriesWhatItIsGiven(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s %q", r.Method, r.URL, r.Header.Get("X-One"), r.UserAgent(), body)
	})
	answer, err := open(webhook.Config{}).Send(t.Context(), webhook.Call{
		URL: url + "/hook?a=b", Method: "PUT", Header: map[string]string{"X-One": "1"}, Body: "text",
	})
	if err != nil || answer.Code != 200 || answer.Reply != `PUT /hook?a=b 1 Waybill/test "text"` || answer.RetryAfter != 0 {
		t.Errorf("%+v, %v", answer, err)
	}
}

func TestARedirectIsAnAnswer(t *testing.T) {
	t.Parallel()
	followed := false
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		followed = followed || r.URL.Path == "/elsewhere"
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	answer, err := open(webhook.Config{}).Send(t.Context(), webhook.Call{URL: url, Method: "POST"})
	if err != nil || answer.Code != 307 || followed {
		t.Errorf("%+v, %v, followed %v", answer, err, followed)
	}
}

func TestAnEndlessReplyIsCutOff(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		chunk := []byte(strings.Repeat("x", 64<<10))
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	answer, err := open(webhook.Config{}).Send(t.Context(), webhook.Call{URL: url, Method: "POST"})
	if err != nil || answer.Code != 200 || len(answer.Reply) != webhook.MaxReply {
		t.Errorf("%d bytes, %+v, %v", len(answer.Reply), answer.Code, err)
	}
}

func TestASlowServer(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/status-first" {
			w.WriteHeader(202)
			w.(http.Flusher).Flush()
		}
		<-over
	})
	t.Cleanup(func() { close(over) }) // before the server closes, which waits for its handlers
	s := open(webhook.Config{Timeout: 200 * time.Millisecond})
	if f := fails(t, s, url); f.Text != "No answer within 200ms" || f.Final {
		t.Errorf("%+v", f)
	}
	s = open(webhook.Config{Timeout: 3 * time.Second}) // all of which it takes: long enough for the status, on any machine
	answer, err := s.Send(t.Context(), webhook.Call{URL: url + "/status-first", Method: "POST"})
	if err != nil || answer.Code != 202 {
		t.Errorf("a status without the rest: %+v, %v", answer, err)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 17, 9, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "soon": 0, "Tue, 17 Mar 2026 09:01:00 GMT": time.Minute, "Tue, 17 Mar 2026 08:00:00 GMT": 0,
		"99999999999999": (1 << 30) * time.Second, "999999999999999999999": 0,
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", text)
			w.WriteHeader(429)
		})
		answer, err := open(webhook.Config{Now: func() time.Time { return now }}).Send(t.Context(), webhook.Call{URL: url, Method: "POST"})
		if err != nil || answer.Code != 429 || answer.RetryAfter != want {
			t.Errorf("%q: %+v, %v", text, answer, err)
		}
	}
}

func TestFaultsAreToldInWords(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	_ = listener.Close()
	rude := serve(t, func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	strange := httptest.NewTLSServer(http.NotFoundHandler())
	strange.Config.ErrorLog = nil
	t.Cleanup(strange.Close)
	for url, want := range map[string]string{
		closed + "/?secret-in-query": "The connection was refused", rude: "The connection was closed without an answer",
		strange.URL: "The certificate was not accepted", strings.Replace(rude, "http:", "https:", 1): "The other side does not speak TLS",
		"http://no-such-host.invalid/": "The host name can not be resolved",
	} {
		if f := fails(t, open(webhook.Config{}), url); f.Text != want || f.Final {
			t.Errorf("%s: %+v (%v)", url, f, errors.Unwrap(f))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(webhook.Config{}).Send(ctx, webhook.Call{URL: rude, Method: "POST"}); err == nil || err.Error() != "The call was broken off" {
		t.Errorf("broken off: %v", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(strange.Certificate())
	answer, err := open(webhook.Config{RootCAs: pool}).Send(t.Context(), webhook.Call{URL: strange.URL, Method: "POST"})
	if err != nil || answer.Code != 404 {
		t.Errorf("TLS: %+v, %v", answer, err)
	}
}

// A name is judged by what it resolves to, at the moment of the call: "localhost" passes no matter what was checked before.
func TestAnAddressThatIsNotPublicIsNotReached(t *testing.T) {
	t.Parallel()
	reached := false
	url := serve(t, func(http.ResponseWriter, *http.Request) { reached = true })
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	s := webhook.New(webhook.Config{Guard: guard.Guard{}})
	for _, url := range []string{url, "http://localhost:" + port, "http://[::1]:" + port} {
		if f := fails(t, s, url); !f.Final || !strings.Contains(f.Text, "not a public one") {
			t.Errorf("%s: %+v (%v)", url, f, errors.Unwrap(f))
		}
	}
	if reached {
		t.Error("the server was reached")
	}
}

func TestNoProxyOfTheEnvironmentIsUsed(t *testing.T) {
	proxied := false
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { proxied = true })
	t.Setenv("HTTP_PROXY", proxy)
	t.Setenv("http_proxy", proxy)
	fails(t, open(webhook.Config{}), "http://no-such-host.invalid/")
	if proxied {
		t.Error("the call went through a proxy")
	}
}

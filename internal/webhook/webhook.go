package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"waybill/internal/webhook/guard"
)

// Config says how calls are made. The zero value calls the public internet.
type Config struct {
	Guard     guard.Guard
	Timeout   time.Duration // of one call, the reply's first bytes included; 0: 10 seconds
	UserAgent string
	RootCAs   *x509.CertPool // nil: the system's
	Now       func() time.Time
}

// MaxReply is how much of a reply is read and kept.
const MaxReply = 1 << 10 // bytes

// Sender makes calls. It is safe for concurrent use.
type Sender struct {
	config Config
	client *http.Client
}

// Call is one call.
type Call struct {
	URL, Method string
	Header      map[string]string
	Body        string
	Timeout     time.Duration // 0: the sender's
}

// Answer is what the other side said.
type Answer struct {
	Code       int
	Reply      string        // the first MaxReply bytes of the body
	RetryAfter time.Duration // 0: it did not say
}

// Fault is why there is no answer, in words that are safe to show: they hold no address, so that names can not be
// resolved, and ports not be looked for, with Waybill's eyes.
type Fault struct {
	Text string
	// Final: another try can not help.
	Final bool
	cause error
}

func (f *Fault) Error() string { return f.Text }

// Unwrap gives the cause, which is for nobody outside.
func (f *Fault) Unwrap() error { return f.cause }

// New makes a Sender.
func New(c Config) *Sender {
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	dialer := &net.Dialer{Timeout: c.Timeout, ControlContext: c.Guard.Control}
	return &Sender{config: c, client: &http.Client{
		Transport: &http.Transport{
			// A proxy would connect in our place, past the guard. There is deliberately none, not even the environment's.
			Proxy:                  nil,
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.RootCAs},
			TLSHandshakeTimeout:    c.Timeout,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // what is read is bounded as it comes
			MaxResponseHeaderBytes: 32 << 10,
			MaxIdleConnsPerHost:    2,
			MaxIdleConns:           100,
			IdleConnTimeout:        30 * time.Second,
		},
		// A redirect would lead past the check of the address, and turn a POST into a GET.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Send makes the call. The error is a *Fault.
func (s *Sender) Send(ctx context.Context, c Call) (Answer, error) {
	timeout := s.config.Timeout
	if c.Timeout > 0 {
		timeout = c.Timeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, c.Method, c.URL, bytes.NewReader([]byte(c.Body)))
	if err != nil {
		return Answer{}, &Fault{Text: "The address can not be called", Final: true, cause: err}
	}
	request.Header.Set("User-Agent", s.config.UserAgent)
	for name, value := range c.Header {
		request.Header.Set(name, value)
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return Answer{}, s.fault(err, timeout)
	}
	// A status is an answer, also when the rest of it is slow, broken or endless.
	reply, _ := io.ReadAll(io.LimitReader(answer.Body, MaxReply))
	_ = answer.Body.Close()
	return Answer{
		Code: answer.StatusCode, Reply: strings.ToValidUTF8(string(reply), "\uFFFD"),
		RetryAfter: s.retryAfter(answer.Header.Get("Retry-After")),
	}, nil
}

// fault puts what went wrong into words. The causes themselves name addresses.
func (s *Sender) fault(err error, patience time.Duration) *Fault {
	f := &Fault{Text: "The connection failed", cause: err}
	var (
		name        *net.DNSError
		certificate *tls.CertificateVerificationError
		timeout     net.Error
	)
	switch {
	case guard.Refused(err):
		f.Text, f.Final = "The address is not a public one (setting callbacks-allow-private)", true
	case errors.As(err, &name):
		f.Text = "The host name can not be resolved"
	case errors.As(err, &certificate):
		f.Text = "The certificate was not accepted"
	case errors.Is(err, http.ErrSchemeMismatch):
		f.Text = "The other side does not speak TLS"
	case errors.Is(err, syscall.ECONNREFUSED):
		f.Text = "The connection was refused"
	case errors.As(err, &timeout) && timeout.Timeout():
		f.Text = "No answer within " + patience.String()
	case errors.Is(err, context.Canceled):
		f.Text = "The call was broken off"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		f.Text = "The connection was closed without an answer"
	}
	return f
}

// retryAfter reads the header: seconds or a date (RFC 9110, 10.2.3).
func (s *Sender) retryAfter(text string) time.Duration {
	if seconds, err := strconv.Atoi(strings.TrimSpace(text)); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 1<<30)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(s.config.Now()))
	}
	return 0
}

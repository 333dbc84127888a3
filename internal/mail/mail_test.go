package mail_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	wmail "waybill/internal/mail"
)

// server is a real SMTP server on loopback.
type server struct {
	mu     sync.Mutex
	got    []received
	user   string // "": no sign-in is asked for
	refuse string // a recipient that is refused
	code   int    // with which
}

type received struct {
	from string
	to   []string
	text string
	tls  bool
	user string
}

func (s *server) NewSession(c *smtp.Conn) (smtp.Session, error) {
	_, secure := c.TLSConnectionState()
	return &session{server: s, mail: received{tls: secure}}, nil
}

type session struct {
	server *server
	mail   received
}

func (s *session) AuthMechanisms() []string {
	if s.server.user == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.server.user || password != "pass word" {
			return smtp.ErrAuthFailed
		}
		s.mail.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.mail.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if to == s.server.refuse {
		return &smtp.SMTPError{Code: s.server.code, EnhancedCode: smtp.EnhancedCode{s.server.code / 100, 1, 1}, Message: "not here"}
	}
	s.mail.to = append(s.mail.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	s.mail.text = string(text)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.got = append(s.server.got, s.mail)
	return err
}

func (s *session) Reset()        { s.mail.to = nil }
func (s *session) Logout() error { return nil }

// listen starts the server and gives a configuration that reaches it.
func (s *server) listen(t *testing.T, how wmail.Encryption) wmail.Config {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(web.Close)
	one := smtp.NewServer(s)
	one.Domain, one.AllowInsecureAuth, one.ErrorLog = "localhost", how == wmail.None, log.New(io.Discard, "", 0)
	if how != wmail.None {
		one.TLSConfig = &tls.Config{Certificates: web.TLS.Certificates}
	}
	if how == wmail.TLS {
		listener = tls.NewListener(listener, one.TLSConfig)
	}
	go func() { _ = one.Serve(listener) }()
	t.Cleanup(func() { _ = one.Close() })
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	return wmail.Config{
		TLS:  &tls.Config{RootCAs: roots, ServerName: "example.com"},
		Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, From: "Waybill <waybill@example.com>", Encryption: how, Timeout: 5 * time.Second,
	}
}

func send(t *testing.T, c wmail.Config, m wmail.Message) error {
	t.Helper()
	mailer, err := wmail.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return mailer.Send(t.Context(), m)
}

func message() wmail.Message {
	return wmail.Message{
		ID: "69b9209b00000000000000d1", To: []string{"a@example.com", "b@example.com"}, Subject: "[Waybill] Größe\r\nBcc: evil@example.com",
		Text: "first\n.\nlast\n", Header: map[string]string{"X-Waybill-Event": "job.failed\nX-Evil: 1"},
		Attach: &wmail.Attachment{Name: "job.log", Write: func(to io.Writer) (int64, error) {
			n, err := io.WriteString(to, strings.Repeat("log line\n", 1000))
			return int64(n), err
		}},
	}
}

func TestMailArrivesHoweverTheServerIsReached(t *testing.T) {
	t.Parallel()
	for _, how := range []wmail.Encryption{wmail.None, wmail.StartTLS, wmail.TLS} {
		for _, user := range []string{"", "postman"} {
			t.Run(fmt.Sprintf("%s %q", how, user), func(t *testing.T) {
				t.Parallel()
				s := &server{user: user}
				c := s.listen(t, how)
				c.User, c.Password = user, "pass word"
				err := send(t, c, message())
				if how == wmail.None && user != "" { // a password is not sent in clear
					if err == nil || len(s.got) != 0 {
						t.Errorf("%v, %d messages", err, len(s.got))
					}
					return
				}
				if err != nil {
					t.Fatal(err, errors.Unwrap(err))
				}
				if len(s.got) != 1 {
					t.Fatalf("%d messages", len(s.got))
				}
				got := s.got[0]
				if got.from != "waybill@example.com" || fmt.Sprint(got.to) != "[a@example.com b@example.com]" || got.tls != (how != wmail.None) || got.user != user {
					t.Errorf("from %s to %s, TLS %v, user %q", got.from, got.to, got.tls, got.user)
				}
				parsed, err := mail.ReadMessage(strings.NewReader(got.text))
				if err != nil {
					t.Fatal(err)
				}
				h := parsed.Header
				if h.Get("Bcc") != "" || h.Get("X-Evil") != "" || h.Get("X-Waybill-Event") != "job.failed X-Evil: 1" ||
					h.Get("Message-Id") != "<69b9209b00000000000000d1@example.com>" || h.Get("Auto-Submitted") != "auto-generated" {
					t.Errorf("headers %v", h)
				}
				if !strings.Contains(got.text, "job.log") || len(got.text) < 9000 {
					t.Errorf("no log in %d bytes", len(got.text))
				}
			})
		}
	}
}

func TestMailThatIsNotTaken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code  int
		final bool
	}{"for good": {550, true}, "for now": {451, false}} {
		s := &server{refuse: "b@example.com", code: c.code}
		var fault *wmail.Fault
		if err := send(t, s.listen(t, wmail.None), message()); !errors.As(err, &fault) || fault.Final != c.final || fault.Code != c.code {
			t.Errorf("%s: %+v", name, fault)
		}
		if len(s.got) != 0 {
			t.Errorf("%s: one of the recipients got it", name)
		}
	}
}

func TestServersThatCanNotBeUsed(t *testing.T) {
	t.Parallel()
	wrong := &server{user: "postman"}
	password := wrong.listen(t, wmail.StartTLS)
	password.User, password.Password = "postman", "wrong"
	plain := (&server{}).listen(t, wmail.None)
	plain.Encryption = wmail.StartTLS // the server has none
	unknown := (&server{}).listen(t, wmail.StartTLS)
	unknown.TLS = nil // its certificate is nobody's
	nobody := plain
	nobody.Port = 1
	for name, c := range map[string]wmail.Config{"password": password, "no TLS": plain, "certificate": unknown, "nobody": nobody} {
		var fault *wmail.Fault
		if err := send(t, c, message()); !errors.As(err, &fault) || fault.Final || strings.Contains(fault.Text, "wrong") {
			t.Errorf("%s: %+v", name, fault)
		}
	}
	if _, err := wmail.New(wmail.Config{Host: "localhost", Port: 25, From: "nobody", Encryption: wmail.None}); err == nil {
		t.Error("a sender that is no address was taken")
	}
}

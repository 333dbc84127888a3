package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	netmail "net/mail"
	"strings"
	"time"
	"unicode"

	gomail "github.com/wneessen/go-mail"
)

// Encryption says how the connection to the server is protected.
type Encryption string

// The choices.
const (
	None     Encryption = "none"
	StartTLS Encryption = "starttls" // required: without it nothing is sent
	TLS      Encryption = "tls"      // from the first byte
)

// Config says which server takes the mail.
type Config struct {
	Host       string
	Port       int
	User       string // empty: no sign-in
	Password   string
	From       string // an address, perhaps with a name
	Encryption Encryption
	Timeout    time.Duration // of one exchange with the server; 0: 15 seconds
	TLS        *tls.Config   // nil: the system's certificates
}

// Mailer sends messages. It is safe for concurrent use.
type Mailer struct {
	config Config
	domain string // of From: Message-IDs end in it
}

// Message is one message to all of its recipients.
type Message struct {
	ID      string // the part of the Message-ID that is ours: the same for every try, so that repeats can be told
	To      []string
	Subject string
	Text    string
	Header  map[string]string // further ones, such as X-Waybill-Event
	Attach  *Attachment
}

// Attachment is a text file. Write may be called more than once.
type Attachment struct {
	Name  string
	Write func(to io.Writer) (int64, error)
}

// Fault is why a message was not sent, in words that are safe to show.
type Fault struct {
	Text string
	// Final: the server refused the message or a recipient for good.
	Final bool
	Code  int // of the server's reply; 0: none
	cause error
}

func (f *Fault) Error() string { return f.Text }

// Unwrap gives the cause, for logs.
func (f *Fault) Unwrap() error { return f.cause }

// New makes a Mailer; it does not connect.
func New(c Config) (*Mailer, error) {
	from, err := netmail.ParseAddress(c.From)
	if err != nil {
		return nil, fmt.Errorf("mail: the sender %q is not an address", c.From)
	}
	if c.Timeout <= 0 {
		c.Timeout = 15 * time.Second
	}
	m := &Mailer{config: c, domain: from.Address[strings.LastIndex(from.Address, "@")+1:]}
	_, err = m.client()
	return m, err
}

// client is made for each message: the library's keeps the state of a connection.
func (m *Mailer) client() (*gomail.Client, error) {
	c := m.config
	options := []gomail.Option{gomail.WithPort(c.Port), gomail.WithTimeout(c.Timeout)}
	if c.TLS != nil {
		options = append(options, gomail.WithTLSConfig(c.TLS.Clone()))
	}
	switch c.Encryption {
	case None:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	case StartTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case TLS:
		options = append(options, gomail.WithSSL())
	default:
		return nil, fmt.Errorf("mail: unknown encryption %q", c.Encryption)
	}
	if c.User != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(c.User), gomail.WithPassword(c.Password))
	}
	return gomail.NewClient(c.Host, options...)
}

// Send sends the message to all of its recipients or to none. The error is a *Fault.
func (m *Mailer) Send(ctx context.Context, message Message) error {
	built, err := m.build(message)
	if err != nil {
		return &Fault{Text: "The message can not be made", Final: true, cause: err}
	}
	client, err := m.client()
	if err != nil {
		return &Fault{Text: "The mail server's settings are wrong", Final: true, cause: err}
	}
	if err := client.DialAndSendWithContext(ctx, built); err != nil {
		return faultOf(err)
	}
	return nil
}

func faultOf(err error) *Fault {
	f := &Fault{Text: "The mail server can not be reached, or did not let us in", cause: err}
	var refused *gomail.SendError
	if !errors.As(err, &refused) {
		return f
	}
	f.Code = refused.ErrorCode()
	f.Final = f.Code >= 500 && !refused.IsTemp()
	f.Text = "The mail server did not take the message"
	if f.Code > 0 {
		f.Text = fmt.Sprintf("The mail server refused the message with %d", f.Code)
	}
	return f
}

func (m *Mailer) build(message Message) (*gomail.Msg, error) {
	built := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := built.From(m.config.From); err != nil {
		return nil, err
	}
	if err := built.To(message.To...); err != nil {
		return nil, err
	}
	built.Subject(line(message.Subject))
	built.SetMessageIDWithValue(line(message.ID) + "@" + m.domain)
	built.SetDate()
	built.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no out-of-office replies
	for name, value := range message.Header {
		built.SetGenHeader(gomail.Header(name), line(value))
	}
	built.SetBodyString(gomail.TypeTextPlain, message.Text)
	if message.Attach != nil {
		built.SetAttachments([]*gomail.File{{
			Name: message.Attach.Name, ContentType: "text/plain; charset=utf-8", Header: map[string][]string{}, Writer: message.Attach.Write,
		}})
	}
	return built, nil
}

// line makes a text fit for a header: whatever is in it, it can not end the line.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

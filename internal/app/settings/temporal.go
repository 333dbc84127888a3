package settings

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// Temporal is an external Temporal; with an empty Address it is the embedded one.
type Temporal struct {
	Address, Namespace string
	TLS                bool   // also by any of the next four, and by an API key unless TLS is set to false
	CA, Cert, Key      string // files (PEM)
	ServerName         string
	APIKey             string // of the environment or the settings file
	APIKeyFile         string // which holds it and may be replaced while we run
	KeepAlive          time.Duration
	MaxMessage         int      // bytes
	Encryption         string   // auto, on, off; see Seals
	CodecOrigins       []string // sites whose pages may call the codec server
}

// Seals tells whether payloads are sealed: by default in a Temporal that somebody else runs. What is in the embedded one lies in
// the data folder, beside the key.
func (t Temporal) Seals() bool {
	return t.Encryption == "on" || t.Encryption == "auto" && t.Address != ""
}

var temporalSettings = []setting{
	{name: "temporal", help: "host:port of a Temporal frontend (default: embedded)"},
	{name: "temporal-namespace", value: "default", help: "namespace of an external Temporal; of Temporal Cloud NAMESPACE.ACCOUNT"},
	{name: "temporal-tls", value: "auto", flag: true, help: "TLS to an external Temporal: true, false or auto (with any other setting that needs it)"},
	{name: "temporal-tls-ca", help: "file with the CA certificates that Temporal's is checked with (default: those of the system)"},
	{name: "temporal-tls-cert", help: "file with the certificate to sign in to Temporal with; read again when it is replaced"},
	{name: "temporal-tls-key", help: "file with the key of that certificate"},
	{name: "temporal-tls-server-name", help: "name that Temporal's certificate must have (default: the host of --temporal)"},
	{name: "temporal-api-key", secret: true, help: "API key to sign in to Temporal with; a file that holds it is read again when it is replaced"},
	{name: "temporal-keep-alive", value: "30s", help: "silence after which the connection to Temporal is probed"},
	{name: "temporal-max-message", value: "134217728", help: "largest message to and from Temporal, in bytes"},
	{name: "temporal-encryption", value: "auto", help: "encryption of what histories hold: on, off or auto (on for an external Temporal); the same for all processes"},
	{name: "codec-origins", only: servers, help: "sites such as https://temporal.example.com whose pages may have payloads decrypted, with commas between them"},
}

func (p *parser) temporal() Temporal {
	t := Temporal{
		Address: p.optionalAddress("temporal"), Namespace: p.text("temporal-namespace"),
		CA: p.path("temporal-tls-ca"), Cert: p.path("temporal-tls-cert"), Key: p.path("temporal-tls-key"),
		ServerName: p.k.String("temporal-tls-server-name"), APIKey: p.k.String("temporal-api-key"),
		KeepAlive:  p.duration("temporal-keep-alive", 10*time.Second, time.Hour),
		MaxMessage: int(p.number("temporal-max-message", 4<<20, 1<<30)),
		Encryption: p.word("temporal-encryption", "auto", "on", "off"), CodecOrigins: p.origins("codec-origins"),
	}
	// Only when the secret came from there: the settings file may hold it too.
	if os.Getenv(EnvName("temporal-api-key")) == "" {
		t.APIKeyFile = os.Getenv(EnvName("temporal-api-key") + fileSuffix)
	}
	needs := p.needTLS(t)
	switch p.word("temporal-tls", "auto", "true", "false") {
	case "true":
		t.TLS = true
	case "auto":
		t.TLS = len(needs) > 0 || t.APIKey != ""
	case "false":
		if len(needs) > 0 {
			p.fault("temporal-tls", "must not be false with %s", strings.Join(needs, ", "))
		}
		if t.APIKey != "" {
			p.fault("temporal-tls", "must not be false with %s: the key would go in clear", EnvName("temporal-api-key"))
		}
	}
	if t.Address == "" {
		for _, name := range append(needs, p.given(t.APIKey != "", "temporal-api-key")...) {
			p.fault(name, "is for an external Temporal: give %s too, or leave it out", Name("temporal"))
		}
		return t
	}
	p.checkTLSFiles(t)
	p.checkAPIKey(t.APIKey)
	return t
}

// origins reads what browsers send as Origin.
func (p *parser) origins(name string) (list []string) {
	for one := range strings.SplitSeq(p.k.String(name), ",") {
		one = strings.TrimSpace(one)
		if one == "" {
			continue
		}
		u, err := url.Parse(one)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || one != u.Scheme+"://"+u.Host || u.Hostname() == "" {
			p.fault(name, "is a list of sites such as https://temporal.example.com, without a path, not %q", one)
			continue
		}
		list = append(list, strings.ToLower(one))
	}
	return list
}

func (p *parser) given(is bool, name string) []string {
	if is {
		return []string{name}
	}
	return nil
}

// needTLS names the settings that have no meaning without TLS.
func (p *parser) needTLS(t Temporal) (names []string) {
	for name, value := range map[string]string{
		"temporal-tls-ca": t.CA, "temporal-tls-cert": t.Cert, "temporal-tls-key": t.Key, "temporal-tls-server-name": t.ServerName,
	} {
		names = append(names, p.given(value != "", name)...)
	}
	slices.Sort(names)
	return names
}

// checkTLSFiles reads the files once, so that a wrong one is told at the start together with all other faults.
func (p *parser) checkTLSFiles(t Temporal) {
	if t.CA != "" {
		text, err := os.ReadFile(t.CA)
		switch {
		case err != nil:
			p.fault("temporal-tls-ca", "can not be read: %v", err)
		case !x509.NewCertPool().AppendCertsFromPEM(text):
			p.fault("temporal-tls-ca", "names a file without a certificate in PEM: %s", t.CA)
		}
	}
	switch {
	case t.Cert != "" && t.Key == "":
		p.fault("temporal-tls-key", "must be given with --temporal-tls-cert")
	case t.Cert == "" && t.Key != "":
		p.fault("temporal-tls-cert", "must be given with --temporal-tls-key")
	case t.Cert != "":
		if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
			p.fault("temporal-tls-cert", "and %s can not be used: %v", Name("temporal-tls-key"), err)
		}
	}
}

// checkAPIKey refuses what can not be a header. The value is not shown.
func (p *parser) checkAPIKey(key string) {
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		p.fault("temporal-api-key", "must be one word of printable ASCII")
	}
}

// Token gives the API key as it is now; nil if there is none.
func (t Temporal) Token() func(context.Context) (string, error) {
	switch {
	case t.APIKey == "":
		return nil
	case t.APIKeyFile == "":
		return func(context.Context) (string, error) { return t.APIKey, nil }
	}
	f := &secretFile{path: t.APIKeyFile, value: t.APIKey}
	return f.get
}

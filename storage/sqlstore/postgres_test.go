package sqlstore

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waybill/internal/job"
	"waybill/storage/storagetest"
)

func TestAPlainConnectionOverANetworkIsWarnedOf(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"postgres://u@127.0.0.1/db":                                       "",
		"postgres://u@localhost/db?sslmode=disable":                       "",
		"postgres://u@[::1]:5432/db":                                      "",
		"postgres:///db?host=/run/postgresql":                             "",
		"postgres://u@db.example.com/db?sslmode=verify-full":              "",
		"postgres://u@db.example.com/db":                                  "db.example.com are or may be without TLS",
		"postgres://u@db.example.com/db?sslmode=disable":                  "db.example.com are or may be without TLS",
		"postgres://u@db.example.com/db?sslmode=require":                  "db.example.com is not checked",
		"postgres://u@127.0.0.1,db2.example.com/db?sslmode=disable":       "db2.example.com are or may be without TLS",
		"postgres://u@127.0.0.1,db2.example.com/db?sslmode=require":       "db2.example.com is not checked",
		"postgres://u@a.example.com,b.example.com/db?sslmode=require":     "a.example.com is not checked: set sslmode=verify-full; the certificate of PostgreSQL at b.example.com is not checked",
		"postgres://u@a.example.com,b.example.com/db?sslmode=prefer":      "a.example.com are or may be without TLS: set sslmode=verify-full; connections to PostgreSQL at b.example.com are or may be without TLS",
		"postgres://u@a.example.com,b.example.com/db?sslmode=verify-full": "",
		"postgres://u:hush@a.example.com,b.example.com/db?sslmode=all":    "!",
	} {
		c := Config{URL: url}.withDefaults()
		settings, err := parsePostgres(url, c)
		if want == "!" {
			if job.CodeOf(err) != job.Invalid || strings.Contains(err.Error(), "hush") {
				t.Errorf("%s: %v", url, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(plainHosts(settings), "; "); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}

// A session says who it is, how long it may take, and when it is to be given up.
func TestASessionHasItsLimits(t *testing.T) {
	t.Parallel()
	url := storagetest.PostgresURL(t)
	show := func(s *Store, name string) string {
		t.Helper()
		v, _, err := one[string](s.read.WithContext(t.Context()), "SELECT current_setting(?)", name)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	s := opened(t, Config{Driver: Postgres, URL: url, Postgres: PostgresConfig{Application: "waybill-api", StatementTimeout: 3 * time.Second}})
	for name, want := range map[string]string{
		"application_name": "waybill-api", "statement_timeout": "3s", "lock_timeout": "3s",
		"idle_in_transaction_session_timeout": "30s", "tcp_keepalives_idle": "15",
	} {
		if got := show(s, name); got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
	if got, _, err := one[string](s.background.read.WithContext(t.Context()), "SELECT current_setting('statement_timeout')"); got != "2min" || err != nil {
		t.Errorf("in the background: %s, %v", got, err)
	}
	said := opened(t, Config{Driver: Postgres, URL: url + "&statement_timeout=1234&application_name=mine"})
	if got := show(said, "statement_timeout") + show(said, "application_name"); got != "1234ms"+"mine" {
		t.Errorf("what the URL says is overruled: %s", got)
	}
	if _, err := said.MigrateUp(t.Context()); err != nil {
		t.Errorf("migrations keep to the time of requests: %v", err)
	}
	if _, _, err := one[int](s.read.WithContext(t.Context()), "SELECT 1 FROM pg_sleep(60)"); job.CodeOf(s.fault(t.Context(), err)) != job.Unavailable {
		t.Errorf("a statement that takes too long: %v", err)
	}
}

// tlsFront is what a PostgreSQL with TLS looks like from outside: it agrees to TLS and passes the rest on.
func tlsFront(t *testing.T, server string, config *tls.Config) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				if _, err := io.ReadFull(client, make([]byte, 8)); err != nil { // SSLRequest
					return
				}
				if _, err := client.Write([]byte("S")); err != nil {
					return
				}
				inside := tls.Server(client, config)
				to, err := net.Dial("tcp", server)
				if err != nil || inside.Handshake() != nil {
					return
				}
				defer to.Close()
				go func() { _, _ = io.Copy(to, inside) }()
				_, _ = io.Copy(inside, to)
			}()
		}
	}()
	return listener.Addr().String()
}

func TestTLSIsCheckedBothWays(t *testing.T) {
	t.Parallel()
	to, err := url.Parse(storagetest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ca, caKey := certificate(t, dir, "ca", nil, nil)
	server, serverKey := certificate(t, dir, "server", ca, caKey)
	certificate(t, dir, "client", ca, caKey)
	other, otherKey := certificate(t, dir, "other-ca", nil, nil)
	certificate(t, dir, "stranger", other, otherKey)
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	address := tlsFront(t, to.Host, &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{server.Raw}, PrivateKey: serverKey}},
		ClientCAs:    pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
	})
	open := func(mode, ca, client string) error {
		u := *to
		u.Host = address
		file := func(name string) string { return filepath.Join(dir, name) }
		u.RawQuery = url.Values{
			"sslmode": {mode}, "sslrootcert": {file(ca + ".crt")}, "sslcert": {file(client + ".crt")}, "sslkey": {file(client + ".key")},
		}.Encode()
		s, err := Open(t.Context(), Config{Driver: Postgres, URL: u.String(), Postgres: PostgresConfig{ConnectTimeout: time.Minute}})
		if err == nil {
			err = s.Close()
		}
		return err
	}
	if err := open("verify-full", "ca", "client"); err != nil {
		t.Errorf("all as it should be: %v", err)
	}
	if err := open("verify-full", "other-ca", "client"); err == nil {
		t.Error("a server with a certificate of somebody else is trusted")
	}
	if err := open("verify-full", "ca", "stranger"); err == nil {
		t.Error("the server takes a client it does not know")
	}
}

// certificate makes a certificate for 127.0.0.1 with its files; without a parent it is an authority.
func certificate(t *testing.T, dir, name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: parent == nil, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		name + ".crt": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "EC PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(fmt.Errorf("%s: %w", file, err))
		}
	}
	return made, key
}

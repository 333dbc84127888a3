package engine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"waybill/internal/job"
)

// TLS protects a connection. The files are read again for every handshake, because certificates are replaced while we run.
type TLS struct {
	CA         string // file with the certificates (PEM) that the server's is checked with; empty: those of the system
	Cert, Key  string // files (PEM) of the client's certificate and key; both or none
	ServerName string // what the server's certificate must be for; empty: the host of the address

	mu   sync.Mutex
	last error // of the latest handshake as far as it was ours to judge
}

// Check reads the files.
func (t *TLS) Check() error {
	_, err := t.roots()
	if t.Cert != "" || t.Key != "" {
		_, pairErr := t.pair()
		err = errors.Join(err, pairErr)
	}
	return err
}

// roots are nil for those of the system.
func (t *TLS) roots() (*x509.CertPool, error) {
	if t.CA == "" {
		return nil, nil
	}
	text, err := os.ReadFile(t.CA)
	if err != nil {
		return nil, fmt.Errorf("the CA file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("the CA file %s holds no certificate in PEM", t.CA)
	}
	return pool, nil
}

func (t *TLS) pair() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("the client certificate %s with the key %s: %w", t.Cert, t.Key, err)
	}
	return &pair, nil
}

func (t *TLS) config(address string) (*tls.Config, error) {
	if err := t.Check(); err != nil {
		return nil, job.Errorf(job.Invalid, job.WordInvalidField, "%s", err)
	}
	name := t.ServerName
	if name == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, job.Errorf(job.Invalid, job.WordInvalidField, "%s is no address", address)
		}
		name = host
	}
	c := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: name,
		// The check of the server is in VerifyConnection, and is the standard one: done there it uses the CA file as it is then.
		InsecureSkipVerify: true, // #nosec G402
		VerifyConnection:   func(s tls.ConnectionState) error { return t.note(t.verify(name, s)) },
	}
	if t.Cert != "" {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := t.pair()
			return pair, t.note(err)
		}
	}
	return c, nil
}

// verify checks the server's certificate as crypto/tls does.
func (t *TLS) verify(name string, s tls.ConnectionState) error {
	roots, err := t.roots()
	if err != nil {
		return err
	}
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err = s.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between})
	return err
}

func (t *TLS) note(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = err
	return err
}

func (t *TLS) lastError() error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// probeWithin bounds a probe.
const probeWithin = 3 * time.Second

// probe makes a connection and listens to what the server says of it; nil if that is nothing bad. A server tells that it does not like
// the client's certificate after the client's handshake, and who writes at that moment, as gRPC does, may not hear it.
func (t *TLS) probe(ctx context.Context, address string) error {
	config, err := t.config(address)
	if err != nil {
		return err
	}
	config.NextProtos = []string{"h2"}
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(probeWithin))
	if _, err = conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// expired tells when the client's certificate ended or will begin, if it is not valid now.
func (t *TLS) expired(now time.Time) string {
	if t == nil || t.Cert == "" {
		return ""
	}
	pair, err := t.pair()
	if err != nil || pair.Leaf == nil {
		return ""
	}
	switch {
	case now.After(pair.Leaf.NotAfter):
		return "it ended at " + pair.Leaf.NotAfter.UTC().Format(time.RFC3339)
	case now.Before(pair.Leaf.NotBefore):
		return "it begins at " + pair.Leaf.NotBefore.UTC().Format(time.RFC3339)
	}
	return ""
}

package objectstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"waybill/internal/job"
)

// newTransport keeps as many connections open as there are workers writing logs, so that a Put does not begin with a dial.
func newTransport(c Config) (*http.Transport, error) {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &moving{Conn: conn, limit: c.Timeout}, nil
		},
		MaxIdleConns:          512,
		MaxIdleConnsPerHost:   256,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: c.Timeout,
		ExpectContinueTimeout: 10 * time.Second,
		// Objects are stored as they are; a compressed answer would not match its size.
		DisableCompression: true,
	}
	if !c.Secure {
		return t, nil
	}
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS13 {
		t.TLSClientConfig.MinVersion = tls.VersionTLS13
	}
	if c.CAFile == "" {
		return t, nil
	}
	text, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, job.Wrap(err, job.Invalid, job.WordInvalidField, "The file with the object store's authorities can not be read (--s3-ca-file): %s.", reason(err))
	}
	t.TLSClientConfig.RootCAs = x509.NewCertPool()
	if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(text) {
		return nil, job.Errorf(job.Invalid, job.WordInvalidField, "The file with the object store's authorities holds no certificate in PEM (--s3-ca-file).")
	}
	return t, nil
}

// reason is why a file could not be read, without its name.
func reason(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i >= 0 {
		return text[i+2:]
	}
	return text
}

func isLoopback(endpoint string) bool {
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		host = endpoint
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

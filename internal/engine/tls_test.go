package engine

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"waybill/internal/job"
)

// authority is a CA made for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	a := authority{key: newKey(t), file: filepath.Join(t.TempDir(), name+".pem")}
	a.cert = sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, &a.key.PublicKey, a.key)
	writePEM(t, a.file, "CERTIFICATE", a.cert.Raw)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, c, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// issue writes a certificate and its key, for a host if one is named, else for a client, valid until then.
func (a authority) issue(t *testing.T, dir, host string, until time.Time) (cert, keyFile string) {
	t.Helper()
	key := newKey(t)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "waybill"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if host != "" {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		if ip := net.ParseIP(host); ip != nil {
			c.IPAddresses = []net.IP{ip}
		} else {
			c.DNSNames = []string{host}
		}
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePEM(t, cert, "CERTIFICATE", sign(t, c, a.cert, &key.PublicKey, a.key).Raw)
	writePEM(t, keyFile, "EC PRIVATE KEY", der)
	return cert, keyFile
}

// front is a TLS listener before the real Temporal, as a frontend with TLS is.
type front struct {
	address string
	seen    atomic.Pointer[big.Int] // serial of the last client's certificate

	mu    sync.Mutex
	conns []net.Conn
}

func temporalAddress(t *testing.T) string {
	t.Helper()
	address := os.Getenv("WAYBILL_TEST_TEMPORAL")
	if address == "" {
		t.Skip("WAYBILL_TEST_TEMPORAL is not set: run with test/bin/with-temporal")
	}
	return address
}

// newFront listens with the certificate of the files, and asks clients for one of the authority, unless there is none.
func newFront(t *testing.T, cert, key string, clients *authority) *front {
	t.Helper()
	behind := temporalAddress(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2"}}
	if clients != nil {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		c.ClientCAs.AddCert(clients.cert)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{address: l.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { f.forward(t.Context(), conn.(*tls.Conn), behind) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		f.cut()
		running.Wait()
	})
	return f
}

func (f *front) forward(ctx context.Context, in *tls.Conn, behind string) {
	defer in.Close()
	if in.HandshakeContext(ctx) != nil {
		return
	}
	if certs := in.ConnectionState().PeerCertificates; len(certs) > 0 {
		f.seen.Store(certs[0].SerialNumber)
	}
	out, err := net.Dial("tcp", behind)
	if err != nil {
		return
	}
	defer out.Close()
	f.mu.Lock()
	f.conns = append(f.conns, in, out)
	f.mu.Unlock()
	go func() {
		_, _ = io.Copy(out, in)
		out.Close()
	}()
	_, _ = io.Copy(in, out)
}

// cut ends all connections.
func (f *front) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		c.Close()
	}
	f.conns = nil
}

func healthy(t *testing.T, c client.Client) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := c.CheckHealth(ctx, &client.CheckHealthRequest{})
	return err
}

func TestAClientCertificateThatIsReplacedIsUsedForTheNextConnection(t *testing.T) {
	ca, dir := newAuthority(t, "ca"), t.TempDir()
	serverCert, serverKey := ca.issue(t, t.TempDir(), "127.0.0.1", time.Now().Add(time.Hour))
	f := newFront(t, serverCert, serverKey, &ca)
	cert, key := ca.issue(t, dir, "", time.Now().Add(time.Hour))
	c, err := Dial(t.Context(), Options{Address: f.address, Namespace: "default", TLS: &TLS{CA: ca.file, Cert: cert, Key: key}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := healthy(t, c); err != nil {
		t.Fatal(err)
	}
	first := f.seen.Load()
	ca.issue(t, dir, "", time.Now().Add(time.Hour))
	f.cut()
	for over := time.Now().Add(30 * time.Second); ; {
		err := healthy(t, c)
		if err == nil {
			break
		}
		if time.Now().After(over) {
			t.Fatalf("no connection after the cut: %v", err)
		}
	}
	if second := f.seen.Load(); second == nil || second.Cmp(first) == 0 {
		t.Errorf("the new connection came with certificate %v, as the first", second)
	}
}

func TestACAThatIsReplacedIsUsedForTheNextConnection(t *testing.T) {
	ca, other := newAuthority(t, "ca"), newAuthority(t, "other")
	cert, key := ca.issue(t, t.TempDir(), "127.0.0.1", time.Now().Add(time.Hour))
	f := newFront(t, cert, key, nil)
	o := Options{Address: f.address, Namespace: "default", TLS: &TLS{CA: other.file}}
	if _, err := Dial(t.Context(), o); job.CodeOf(err) != job.Invalid {
		t.Fatalf("a server of an unknown CA: %v", err)
	}
	writePEM(t, other.file, "CERTIFICATE", ca.cert.Raw)
	c, err := Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestFaultsOfTLSSayWhatToDo(t *testing.T) {
	ca, other := newAuthority(t, "ca"), newAuthority(t, "other")
	later, past := time.Now().Add(time.Hour), time.Now().Add(-time.Minute)
	cert, key := ca.issue(t, t.TempDir(), "127.0.0.1", later)
	mutual := newFront(t, cert, key, &ca)
	plain := newFront(t, cert, key, nil)
	cert, key = ca.issue(t, t.TempDir(), "temporal.example.com", later)
	named := newFront(t, cert, key, nil)
	cert, key = ca.issue(t, t.TempDir(), "127.0.0.1", past)
	old := newFront(t, cert, key, nil)

	client := func(a authority, until time.Time) *TLS {
		cert, key := a.issue(t, t.TempDir(), "", until)
		return &TLS{CA: ca.file, Cert: cert, Key: key}
	}
	for name, test := range map[string]struct {
		address string
		tls     *TLS
		want    string
	}{
		"a CA that is not known":                    {plain.address, &TLS{CA: other.file}, "give the CA's certificate in the CA file"},
		"the system's CAs":                          {plain.address, &TLS{}, "give the CA's certificate in the CA file"},
		"another name":                              {named.address, &TLS{CA: ca.file}, "give the name as the server name"},
		"an ended certificate of the server":        {old.address, &TLS{CA: ca.file}, "has ended or does not hold yet"},
		"no client certificate":                     {mutual.address, &TLS{CA: ca.file}, "it wants a client certificate"},
		"a client certificate of another CA":        {mutual.address, client(other, later), "it must be signed by a CA that the server trusts"},
		"a client certificate that ended":           {mutual.address, client(ca, past), "it refuses the client certificate, and it ended at"},
		"no TLS where it is wanted":                 {plain.address, nil, "turn TLS on"},
		"TLS where none is":                         {temporalAddress(t), &TLS{CA: ca.file}, "it speaks no TLS"},
		"the name that the server has, by settings": {named.address, &TLS{CA: ca.file, ServerName: "temporal.example.com"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Dial(t.Context(), Options{Address: test.address, Namespace: "default", TLS: test.tls})
			if err == nil {
				c.Close()
			}
			switch {
			case test.want == "" && err != nil:
				t.Errorf("it fails: %v", err)
			case test.want == "":
			case err == nil:
				t.Errorf("it connects")
			case job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), test.want):
				t.Errorf("got %s: %v, want %q", job.CodeOf(err), err, test.want)
			}
		})
	}
}

func TestAServerThatIsNotThereIsWorthWaitingFor(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	for _, o := range []Options{{Address: address, Namespace: "default"}, {Address: address, Namespace: "default", TLS: &TLS{}}} {
		if _, err := Dial(t.Context(), o); job.CodeOf(err) != job.Unavailable {
			t.Errorf("got %v", err)
		}
	}
}

func TestFilesThatCanNotBeUsedAreToldBeforeAnythingIsDialled(t *testing.T) {
	ca := newAuthority(t, "ca")
	dir := t.TempDir()
	cert, key := ca.issue(t, dir, "", time.Now().Add(time.Hour))
	_, otherKey := ca.issue(t, t.TempDir(), "", time.Now().Add(time.Hour))
	for name, test := range map[string]*TLS{
		"no CA file": {CA: filepath.Join(dir, "none")}, "a CA file without a certificate": {CA: key},
		"no key": {Cert: cert, Key: filepath.Join(dir, "none")}, "a key of another certificate": {Cert: cert, Key: otherKey},
	} {
		_, err := Dial(t.Context(), Options{Address: "127.0.0.1:1", Namespace: "default", TLS: test})
		var own *job.Error
		if !errors.As(err, &own) || own.Code != job.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

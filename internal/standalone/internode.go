package standalone

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"

	"go.temporal.io/server/common/rpc/encryption"
)

// internodeName is whom the services' certificate is for.
const internodeName = "waybill-engine"

// internode is how the server's services talk to each other: by TLS with one certificate, made at the start and kept in
// memory, that both sides must show. The services other than the frontend ask for no token; without this, whoever reaches
// their ports could do there what the frontend refuses.
type internode struct{ server, client *tls.Config }

var _ encryption.TLSConfigProvider = internode{}

func newInternode() (i internode, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return i, fmt.Errorf("make the key of the engine's services: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: internodeName}, DNSNames: []string{internodeName},
		// For as long as a process may live, whatever is done to the clock meanwhile.
		NotBefore: now.AddDate(-10, 0, 0), NotAfter: now.AddDate(100, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return i, fmt.Errorf("make the certificate of the engine's services: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return i, err
	}
	only := x509.NewCertPool()
	only.AddCert(leaf)
	own := []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}}
	i.server = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: own, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: only}
	i.client = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: own, RootCAs: only, ServerName: internodeName}
	return i, nil
}

func (i internode) GetInternodeServerConfig() (*tls.Config, error) { return i.server.Clone(), nil }
func (i internode) GetInternodeClientConfig() (*tls.Config, error) { return i.client.Clone(), nil }

// The frontend speaks plain gRPC, on loopback; there are no other clusters.
func (internode) GetFrontendServerConfig() (*tls.Config, error)            { return nil, nil }
func (internode) GetFrontendClientConfig() (*tls.Config, error)            { return nil, nil }
func (internode) GetRemoteClusterClientConfig(string) (*tls.Config, error) { return nil, nil }

// GetExpiringCerts finds none: ours outlives the process.
func (internode) GetExpiringCerts(time.Duration) (expiring, expired encryption.CertExpirationMap, err error) {
	return nil, nil, nil
}

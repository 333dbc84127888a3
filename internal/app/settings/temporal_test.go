package settings

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// pair writes a certificate and its key.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

const cloud = "--temporal=eu-west-1.aws.api.temporal.io:7233"

func TestTLSToTemporalIsOnWhereSomethingNeedsIt(t *testing.T) {
	cert, key := pair(t)
	for name, test := range map[string]struct {
		args []string
		key  string
		want bool
	}{
		"nothing":     {args: []string{cloud}},
		"turned on":   {args: []string{cloud, "--temporal-tls"}, want: true},
		"CA":          {args: []string{cloud, "--temporal-tls-ca", cert}, want: true},
		"client":      {args: []string{cloud, "--temporal-tls-cert", cert, "--temporal-tls-key", key}, want: true},
		"server name": {args: []string{cloud, "--temporal-tls-server-name", "x"}, want: true},
		"API key":     {args: []string{cloud}, key: "k", want: true},
	} {
		t.Run(name, func(t *testing.T) {
			if test.key != "" {
				setenv(t, "temporal-api-key", test.key)
			}
			s, err := load(t, test.args...)
			if err != nil || s.Temporal.TLS != test.want || (s.Temporal.Token() != nil) != (test.key != "") {
				t.Errorf("TLS %v, %v", s.Temporal.TLS, err)
			}
		})
	}
}

func TestFaultsOfTemporalAreToldTogether(t *testing.T) {
	cert, key := pair(t)
	_, other := pair(t)
	none := filepath.Join(t.TempDir(), "none")
	for name, test := range map[string]struct {
		args []string
		key  string
		want []string
	}{
		"TLS off with its settings": {[]string{cloud, "--temporal-tls=false", "--temporal-tls-ca", cert}, "", []string{"must not be false with temporal-tls-ca"}},
		"TLS off with a key":        {[]string{cloud, "--temporal-tls=false"}, "hunter2", []string{"would go in clear"}},
		"no such files": {[]string{cloud, "--temporal-tls-ca", none, "--temporal-tls-cert", none, "--temporal-tls-key", none}, "",
			[]string{"--temporal-tls-ca (WAYBILL_TEMPORAL_TLS_CA) can not be read", "--temporal-tls-cert (WAYBILL_TEMPORAL_TLS_CERT) and"}},
		"no certificate in the CA file": {[]string{cloud, "--temporal-tls-ca", key}, "", []string{"without a certificate in PEM"}},
		"a key of another":              {[]string{cloud, "--temporal-tls-cert", cert, "--temporal-tls-key", other}, "", []string{"private key does not match"}},
		"no key":                        {[]string{cloud, "--temporal-tls-cert", cert}, "", []string{"--temporal-tls-key (WAYBILL_TEMPORAL_TLS_KEY) must be given"}},
		"no certificate":                {[]string{cloud, "--temporal-tls-key", key}, "", []string{"--temporal-tls-cert (WAYBILL_TEMPORAL_TLS_CERT) must be given"}},
		"the embedded one":              {[]string{"--temporal-tls-ca", cert}, "hunter2", []string{"--temporal-tls-ca (WAYBILL_TEMPORAL_TLS_CA) is for an external", "WAYBILL_TEMPORAL_API_KEY is for an external"}},
		"a key that is no word":         {[]string{cloud}, "hunter2\nx", []string{"one word"}},
		"a small message":               {[]string{cloud, "--temporal-max-message", "100"}, "", []string{"--temporal-max-message"}},
		"a short pause":                 {[]string{cloud, "--temporal-keep-alive", "1s"}, "", []string{"--temporal-keep-alive"}},
		"sites with paths":              {[]string{"--codec-origins", "https://a.example.com/,ftp://b, https://c.example.com"}, "", []string{`not "https://a.example.com/"`, `not "ftp://b"`}},
		"a word for encryption":         {[]string{"--temporal-encryption", "yes"}, "", []string{"--temporal-encryption"}},
	} {
		t.Run(name, func(t *testing.T) {
			if test.key != "" {
				setenv(t, "temporal-api-key", test.key)
			}
			_, err := load(t, test.args...)
			if err == nil {
				t.Fatal("no fault")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the key is shown: %v", err)
			}
		})
	}
}

func TestPayloadsAreSealedInAnExternalTemporalByDefault(t *testing.T) {
	for args, want := range map[string]bool{
		"": false, cloud: true, "--temporal-encryption=on": true, cloud + " --temporal-encryption=off": false,
	} {
		s, err := load(t, strings.Fields(args)...)
		if err != nil || s.Temporal.Seals() != want {
			t.Errorf("%q: %v, %v", args, s.Temporal.Seals(), err)
		}
	}
}

func TestSitesOfTheCodecServer(t *testing.T) {
	s, err := load(t, "--codec-origins", "https://Temporal.example.com, http://localhost:8233")
	if err != nil || !slices.Equal(s.Temporal.CodecOrigins, []string{"https://temporal.example.com", "http://localhost:8233"}) {
		t.Errorf("%q, %v", s.Temporal.CodecOrigins, err)
	}
}

func TestAnAPIKeyInAFileIsReadAgainWhenItIsReplaced(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+"-new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+"-new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	t.Setenv(EnvName("temporal-api-key")+fileSuffix, file)
	s, err := load(t, cloud)
	if err != nil {
		t.Fatal(err)
	}
	get := s.Temporal.Token()
	is := func(want string) {
		t.Helper()
		for over := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			got, err := get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got == want {
				return
			}
			if time.Now().After(over) {
				t.Fatalf("the key is %q, want %q", got, want)
			}
		}
	}
	is("first")
	write("second")
	is("second")
	write("") // it is just being replaced
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	is("second")
	write("third")
	is("third")
}

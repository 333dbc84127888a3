package settings

import (
	"strings"
	"testing"
)

func TestFaultsOfTheObjectStoreSettings(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string // "": no fault
	}{
		"keys of the environment":      {[]string{"--s3-endpoint", "s3:443"}, ""},
		"a prefix without its slash":   {[]string{"--s3-prefix", "a/b"}, ""},
		"a key without its secret":     {[]string{"--s3-access-key", "a"}, "WAYBILL_S3_SECRET_KEY and"},
		"a prefix that goes up":        {[]string{"--s3-prefix", "../"}, "--s3-prefix"},
		"a prefix with an empty part":  {[]string{"--s3-prefix", "a//"}, "--s3-prefix"},
		"another lookup":               {[]string{"--s3-lookup", "dns"}, "--s3-lookup"},
		"authorities without TLS":      {[]string{"--s3-ca-file", "/ca"}, "--s3-ca-file"},
		"an old TLS":                   {[]string{"--s3-tls-min", "1.1"}, "--s3-tls-min"},
		"KMS without a key":            {[]string{"--s3-sse", "sse-kms"}, "--s3-sse-kms-key"},
		"a key without KMS":            {[]string{"--s3-sse-kms-key", "k"}, "--s3-sse-kms-key"},
		"KMS":                          {[]string{"--s3-sse", "sse-kms", "--s3-sse-kms-key", "k"}, ""},
		"a public endpoint":            {[]string{"--s3-endpoint", "s3:443", "--s3-public-endpoint", "https://o.example.com/"}, ""},
		"a public path":                {[]string{"--s3-endpoint", "s3:443", "--s3-public-endpoint", "https://o.example.com/s3"}, "--s3-public-endpoint"},
		"a public host alone":          {[]string{"--s3-endpoint", "s3:443", "--s3-public-endpoint", "o.example.com"}, "--s3-public-endpoint"},
		"a public address of our own":  {[]string{"--s3-public-endpoint", "https://o.example.com"}, "--s3-public-endpoint"},
		"an address valid for a month": {[]string{"--s3-public-expiry", "720h"}, "--s3-public-expiry"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.args...)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("load = %v, want a fault with %q", err, c.want)
			}
		})
	}
}

func TestPrefixEndsWithASlash(t *testing.T) {
	s, err := load(t, "--s3-prefix", "a/b")
	if err != nil || s.S3.Prefix != "a/b/" {
		t.Errorf("Prefix = %q, %v", s.S3.Prefix, err)
	}
}

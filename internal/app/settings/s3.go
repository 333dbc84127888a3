package settings

import (
	"regexp"
	"strings"
	"time"
)

// S3 is an external object store; with an empty Endpoint it is the embedded gateway.
type S3 struct {
	Endpoint, Region, Bucket           string
	AccessKey, SecretKey, SessionToken string // empty: those of the environment or of the machine's role
	CreateBucket                       bool
	Prefix                             string // of all keys; empty, or ends with a slash
	Lookup                             string // auto, path, virtual

	TLS     bool
	CAFile  string // of the store's certificate; empty: those of the machine
	MinTLS  string // 1.2 or 1.3
	Timeout time.Duration

	Encryption, EncryptionKey string // none, sse-s3, sse-kms; the key of the last
	Checksums                 bool
	Lifecycle                 string // manage, off

	PublicEndpoint string // URL by which clients reach the store; empty: they do not
	PublicExpiry   time.Duration
}

var s3Settings = []setting{
	{name: "s3-endpoint", help: "host:port of an S3 object store (default: embedded, in the data folder)"},
	{name: "s3-access-key", help: "access key of the object store (default: AWS_ACCESS_KEY_ID, the AWS credentials file, or the role of the machine)"},
	{name: "s3-secret-key", secret: true, help: "secret key of the object store"},
	{name: "s3-session-token", secret: true, help: "session token of keys that are temporary"},
	{name: "s3-region", value: "us-east-1", help: "region of the object store"},
	{name: "s3-bucket", value: "waybill", help: "bucket of the object store"},
	{name: "s3-bucket-create", value: "true", flag: true, help: "make the bucket if it is absent"},
	{name: "s3-prefix", help: "what the keys of all objects begin with, such as production/, so that installations can share a bucket"},
	{name: "s3-lookup", value: "auto", help: "how requests name the bucket: path, virtual (in the host name), or auto (by the endpoint)"},
	{name: "s3-tls", value: "false", flag: true, help: "speak TLS to the object store"},
	{name: "s3-ca-file", help: "PEM file with the authorities that sign the object store's certificate (default: those of the machine)"},
	{name: "s3-tls-min", value: "1.2", help: "oldest version of TLS that is spoken with the object store: 1.2 or 1.3"},
	{name: "s3-timeout", value: "1m", help: "time in which the object store must begin to answer a request, and take or give the next piece of a body"},
	{name: "s3-sse", value: "none", help: "encryption by the object store: none, sse-s3 or sse-kms"},
	{name: "s3-sse-kms-key", help: "id of the key of sse-kms"},
	{name: "s3-checksums", value: "true", flag: true, help: "send and check CRC32C of objects; off for stores without trailing checksums"},
	{name: "s3-lifecycle", value: "manage", help: "the bucket's rule that ends broken uploads: manage (set ours in a bucket that has no rules) or off"},
	{name: "s3-public-endpoint", only: servers, help: "URL by which clients reach the object store, such as https://objects.example.com; downloads can then be redirected to it"},
	{name: "s3-public-expiry", only: servers, value: "5m", help: "how long an address that a download is redirected to is valid"},
}

// A prefix is made of names that every store takes as they are.
var prefixes = regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9._-]*/)*$`)

func (p *parser) s3() S3 {
	s := S3{
		Endpoint: p.optionalAddress("s3-endpoint"), Region: p.text("s3-region"), Bucket: p.text("s3-bucket"),
		AccessKey: p.k.String("s3-access-key"), SecretKey: p.k.String("s3-secret-key"), SessionToken: p.k.String("s3-session-token"),
		CreateBucket: p.truth("s3-bucket-create"), Prefix: p.k.String("s3-prefix"), Lookup: p.word("s3-lookup", "auto", "path", "virtual"),
		TLS: p.truth("s3-tls"), CAFile: p.path("s3-ca-file"), MinTLS: p.word("s3-tls-min", "1.2", "1.3"),
		Timeout: p.duration("s3-timeout", time.Second, time.Hour), Encryption: p.word("s3-sse", "none", "sse-s3", "sse-kms"),
		EncryptionKey: p.k.String("s3-sse-kms-key"), Checksums: p.truth("s3-checksums"), Lifecycle: p.word("s3-lifecycle", "manage", "off"),
		PublicEndpoint: p.url("s3-public-endpoint"), PublicExpiry: p.duration("s3-public-expiry", time.Second, 7*24*time.Hour),
	}
	if (s.AccessKey == "") != (s.SecretKey == "") {
		p.fault("s3-secret-key", "and --s3-access-key must both be given, or neither: then those of the environment or of the machine's role are used")
	}
	if s.SessionToken != "" && s.AccessKey == "" {
		p.fault("s3-session-token", "belongs to --s3-access-key, which is empty")
	}
	if s.Prefix != "" && !strings.HasSuffix(s.Prefix, "/") {
		s.Prefix += "/"
	}
	if !prefixes.MatchString(s.Prefix) || len(s.Prefix) > 100 {
		p.fault("s3-prefix", "is made of letters, digits, '.', '-', '_' and '/', such as production/, in at most 100 characters")
	}
	if s.CAFile != "" && !s.TLS {
		p.fault("s3-ca-file", "means nothing without --s3-tls")
	}
	if (s.Encryption == "sse-kms") != (s.EncryptionKey != "") {
		p.fault("s3-sse-kms-key", "belongs to --s3-sse=sse-kms, and that needs it")
	}
	if s.PublicEndpoint != "" && strings.Count(s.PublicEndpoint, "/") > 2 {
		p.fault("s3-public-endpoint", "is a URL without a path, such as https://objects.example.com: a path would break the signature")
	}
	if s.PublicEndpoint != "" && s.Endpoint == "" {
		p.fault("s3-public-endpoint", "means nothing without --s3-endpoint: the embedded object store serves this machine only")
	}
	return s
}

package objectstore

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"waybill/internal/control"
	"waybill/internal/job"
)

const (
	// smallObject is the most that is read into memory to go out in one repeatable request.
	smallObject = 1 << 20 // bytes
	// partSize is the size of a multipart part, and of the one buffer an upload of any size needs. At S3's 10,000 parts an
	// object of unknown size can have 156 GiB.
	partSize = 16 << 20 // bytes
	// attempts per request, with pauses that grow from 200 ms: a broken store is told within about two seconds.
	attempts = 3
	// listPage is what S3 gives out at most per request.
	listPage = 1000
)

// Config says which bucket of which S3 to use.
type Config struct {
	Endpoint  string // host:port, no scheme
	AccessKey string
	SecretKey string
	Bucket    string
	// Region the requests are signed for; asking the server for it would cost a request. Default us-east-1.
	Region string
	// Secure uses TLS.
	Secure bool
	// CreateBucket makes the bucket if it is absent.
	CreateBucket bool
}

// Store is a bucket. It satisfies control.Objects and is safe for concurrent use.
type Store struct {
	client    *minio.Client
	core      minio.Core
	transport *http.Transport
	bucket    string
	// unsigned leaves the body out of the request's signature: TLS protects it, or it never leaves the machine.
	unsigned bool
}

var _ control.Objects = (*Store)(nil)

// Open connects and checks that the bucket is there. An absent bucket is job.Invalid, a store that does not answer
// job.Unavailable.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.Endpoint == "" || c.Bucket == "" || c.AccessKey == "" || c.SecretKey == "" {
		return nil, job.Errorf(job.Invalid, job.WordMissingField,
			"The object store needs an endpoint, a bucket, an access key and a secret key.")
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	t := newTransport()
	core, err := minio.NewCore(c.Endpoint, &minio.Options{
		Creds:      credentials.NewStaticV4(c.AccessKey, c.SecretKey, ""),
		Secure:     c.Secure,
		Region:     c.Region,
		Transport:  t,
		MaxRetries: attempts,
		// Path style works with every S3 and needs no name service.
		BucketLookup: minio.BucketLookupPath,
	})
	if err != nil {
		return nil, job.Wrap(err, job.Invalid, job.WordInvalidField, "The object store's endpoint is not valid.")
	}
	s := &Store{
		client: core.Client, core: *core, transport: t, bucket: c.Bucket,
		unsigned: c.Secure || isLoopback(c.Endpoint),
	}
	if err := s.ensureBucket(ctx, c); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) ensureBucket(ctx context.Context, c Config) error {
	found, err := s.client.BucketExists(ctx, c.Bucket)
	if err != nil {
		return translate(ctx, err, "open the object store")
	}
	if found {
		return nil
	}
	if !c.CreateBucket {
		return job.Errorf(job.Invalid, job.WordInvalidField, "The object store has no bucket %s.", c.Bucket)
	}
	err = s.client.MakeBucket(ctx, c.Bucket, minio.MakeBucketOptions{Region: c.Region})
	if code := minio.ToErrorResponse(err).Code; err != nil &&
		code != minio.BucketAlreadyOwnedByYou && code != "BucketAlreadyExists" {
		return translate(ctx, err, "make the bucket")
	}
	return nil
}

// Ping tells whether the store answers and the bucket is there.
func (s *Store) Ping(ctx context.Context) error {
	found, err := s.client.BucketExists(ctx, s.bucket)
	if err != nil {
		return translate(ctx, err, "reach the object store")
	}
	if !found {
		return job.Errorf(job.Unavailable, job.WordDependencyDown, "The object store has lost its bucket.")
	}
	return nil
}

// Close drops idle connections. Requests under way go on.
func (s *Store) Close() { s.transport.CloseIdleConnections() }

// newTransport keeps as many connections open as there are workers writing logs, so that a Put does not begin with a dial.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		MaxIdleConns:          512,
		MaxIdleConnsPerHost:   256,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		ExpectContinueTimeout: 10 * time.Second,
		// Objects are stored as they are; a compressed answer would not match its size.
		DisableCompression: true,
	}
}

func isLoopback(endpoint string) bool {
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		host = endpoint
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

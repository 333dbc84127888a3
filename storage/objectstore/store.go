package objectstore

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"

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

// Lookup is how requests name the bucket.
type Lookup string

// The lookups. Auto is virtual at the clouds that want it, path everywhere else.
const (
	LookupAuto    Lookup = "auto"
	LookupPath    Lookup = "path"    // https://host/bucket/key: works with every S3 and needs no name service
	LookupVirtual Lookup = "virtual" // https://bucket.host/key
)

func (l Lookup) minio() minio.BucketLookupType {
	switch l {
	case LookupVirtual:
		return minio.BucketLookupDNS
	case LookupPath:
		return minio.BucketLookupPath
	default:
		return minio.BucketLookupAuto
	}
}

// Config says which bucket of which S3 to use, and how.
type Config struct {
	Endpoint string // host:port, no scheme
	Bucket   string
	// AccessKey and SecretKey, and the token of temporary ones. Without: those of the environment, of the AWS credentials
	// file or of the machine's role, which may change while the store is open.
	AccessKey, SecretKey, SessionToken string
	// Region the requests are signed for; asking the server for it would cost a request. Default us-east-1.
	Region string
	// Prefix is what all keys in the bucket begin with. Callers do not see it.
	Prefix string
	Lookup Lookup // "": auto
	// CreateBucket makes the bucket if it is absent.
	CreateBucket bool

	Secure  bool          // uses TLS
	CAFile  string        // PEM; "": the machine's authorities
	TLS13   bool          // no older TLS than 1.3, else than 1.2
	Timeout time.Duration // for the beginning of an answer, and for each piece of what is sent and read; 0: a minute
	// Version is told to the store in the user agent.
	Version string

	Encryption    Encryption // "": none
	EncryptionKey string     // id of the key for SSEKMS
	// Checksums sends a CRC32C with every object and compares it when a whole object is read.
	Checksums bool

	// PublicEndpoint is the URL by which clients reach the store; "": Presign is off.
	PublicEndpoint string
	// PublicExpiry is how long a presigned address is valid.
	PublicExpiry time.Duration

	// Around is put around what carries the requests out, to watch them. May be nil.
	Around func(http.RoundTripper) http.RoundTripper
	// Now is this machine's clock; nil: time.Now.
	Now func() time.Time
}

// Encryption is what the store is asked to encrypt objects with.
type Encryption string

// The encryptions.
const (
	SSES3  Encryption = "sse-s3"  // with keys of the store's own
	SSEKMS Encryption = "sse-kms" // with a key of a key management service
)

func (c Config) serverSide() (encrypt.ServerSide, error) {
	switch c.Encryption {
	case SSES3:
		return encrypt.NewSSE(), nil
	case SSEKMS:
		return encrypt.NewSSEKMS(c.EncryptionKey, nil)
	default:
		return nil, nil
	}
}

// Store is a bucket, or what lies below a prefix of one. It satisfies control.Objects and is safe for concurrent use.
type Store struct {
	client    *minio.Client
	core      minio.Core
	public    *minio.Client // signs addresses for clients; nil: off
	expiry    time.Duration
	transport *http.Transport
	bucket    string
	prefix    string
	sse       encrypt.ServerSide
	checksum  minio.ChecksumType
	// unsigned leaves the body out of the request's signature: TLS protects it, or it never leaves the machine.
	unsigned bool
	clocked  *clocked // nil: requests are signed by this machine's clock, whatever the store's says
}

var _ control.Objects = (*Store)(nil)

// Open connects and checks that the bucket is there. What a setting can mend is job.Invalid and says which, a store that
// does not answer job.Unavailable.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.Endpoint == "" || c.Bucket == "" {
		return nil, job.Errorf(job.Invalid, job.WordMissingField, "The object store needs an endpoint and a bucket.")
	}
	if (c.AccessKey == "") != (c.SecretKey == "") {
		return nil, job.Errorf(job.Invalid, job.WordMissingField, "The object store needs an access key and a secret key, or neither.")
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	s, err := newStore(c)
	if err != nil {
		return nil, err
	}
	if err := s.ensureBucket(ctx, c); err != nil {
		s.Close()
		return nil, err
	}
	if s.sse != nil { // a store without keys says so at the first write only
		if err := s.Probe(ctx); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

func newStore(c Config) (*Store, error) {
	if c.Timeout <= 0 {
		c.Timeout = time.Minute
	}
	t, err := newTransport(c)
	if err != nil {
		return nil, err
	}
	sse, err := c.serverSide()
	if err != nil {
		return nil, job.Wrap(err, job.Invalid, job.WordInvalidField, "The key for the object store's encryption is not valid (--s3-sse-kms-key).")
	}
	s := &Store{
		transport: t, bucket: c.Bucket, prefix: c.Prefix, sse: sse, expiry: c.PublicExpiry, unsigned: c.Secure || isLoopback(c.Endpoint),
	}
	if c.Checksums {
		s.checksum = minio.ChecksumFullObjectCRC32C
	}
	keys := c.credentials()
	carry := around(&impatient{next: t, limit: c.Timeout}, c.Around)
	if s.unsigned {
		s.clocked = &clocked{next: carry, keys: keys, now: c.Now}
		if c.Now == nil {
			s.clocked.now = time.Now
		}
		carry = s.clocked
	}
	options := func(secure bool) *minio.Options {
		return &minio.Options{
			Creds: keys, Secure: secure, Region: c.Region, Transport: carry, MaxRetries: attempts, BucketLookup: c.Lookup.minio(),
			TrailingHeaders: c.Checksums,
		}
	}
	core, err := minio.NewCore(c.Endpoint, options(c.Secure))
	if err != nil {
		return nil, job.Wrap(err, job.Invalid, job.WordInvalidField, "The object store's endpoint is not valid: it is host:port (--s3-endpoint).")
	}
	core.SetAppInfo("waybill", c.Version)
	s.client, s.core = core.Client, *core
	if c.PublicEndpoint == "" {
		return s, nil
	}
	u, err := url.Parse(c.PublicEndpoint)
	if err == nil {
		s.public, err = minio.New(u.Host, options(u.Scheme == "https"))
	}
	if err != nil {
		return nil, job.Wrap(err, job.Invalid, job.WordInvalidField, "The object store's public endpoint is not valid: it is a URL without a path (--s3-public-endpoint).")
	}
	return s, nil
}

// credentials are the given keys, else those of the environment.
func (c Config) credentials() *credentials.Credentials {
	if c.AccessKey != "" {
		return credentials.NewStaticV4(c.AccessKey, c.SecretKey, c.SessionToken)
	}
	return credentials.New(newAmbient(c.Region))
}

// ensureBucket looks for the bucket, and makes it where that is wanted.
func (s *Store) ensureBucket(ctx context.Context, c Config) error {
	found, err := s.client.BucketExists(ctx, c.Bucket)
	if err != nil && ctx.Err() == nil && minio.ToErrorResponse(err).StatusCode/100 != 5 {
		if err = s.look(ctx); minio.ToErrorResponse(err).Code == minio.NoSuchBucket {
			err = nil
		} else if err == nil {
			found = true // the keys may list what is below the prefix, and nothing else
		}
	}
	switch {
	case noHost(err, c.Bucket):
		return job.Wrap(err, job.Invalid, job.WordInvalidField,
			"No host has the bucket's name in front of the endpoint's: set --s3-lookup=path, or look at --s3-endpoint.")
	case err != nil:
		return explain(ctx, err, "open the object store")
	case found:
		return nil
	case !c.CreateBucket:
		return job.Errorf(job.Invalid, job.WordInvalidField,
			"The object store has no bucket %s. Make it (aws s3 mb s3://%s, or mc mb), name another (--s3-bucket), or let Waybill make it (--s3-bucket-create).", c.Bucket, c.Bucket)
	}
	err = s.client.MakeBucket(ctx, c.Bucket, minio.MakeBucketOptions{Region: c.Region})
	switch code := minio.ToErrorResponse(err).Code; {
	case err == nil, code == minio.BucketAlreadyOwnedByYou:
		return nil
	case code == "BucketAlreadyExists":
		return job.Wrap(err, job.Invalid, job.WordInvalidField, "The bucket %s belongs to somebody else: name another (--s3-bucket).", c.Bucket)
	case code == minio.AccessDenied:
		return job.Wrap(err, job.Invalid, job.WordInvalidField,
			"The object store has no bucket %s, and these keys may not make it. Make it yourself, or name another (--s3-bucket).", c.Bucket)
	}
	return explain(ctx, err, "make the bucket")
}

// look lists one object: what goes wrong is answered with a reason, which a HEAD has no room for.
func (s *Store) look(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the listing
	for o := range s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix, MaxKeys: 1, Recursive: true}) {
		return o.Err
	}
	return ctx.Err()
}

// Ping tells whether the store answers and the bucket is there.
func (s *Store) Ping(ctx context.Context) error {
	found, err := s.client.BucketExists(once(ctx), s.bucket)
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

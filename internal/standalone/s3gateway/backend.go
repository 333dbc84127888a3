package s3gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// rooted is versitygw's posix backend without its hold on the process's working folder. posix.New changes into its root
// and then names every file relative to it, which would break every relative path of the program around it and allow one
// gateway per process. rooted gives posix absolute bucket paths instead.
//
// It embeds backend.BackendUnsupported and passes on only what is listed here: a call that is not rewritten must be
// refused, because posix would apply it to the working folder.
type rooted struct {
	backend.BackendUnsupported
	posix *posix.Posix
	root  string // absolute
	log   *slog.Logger
	acls  sync.Map // bucket path -> []byte
}

// chdir guards the short time in which posix.New moves the process.
var chdir sync.Mutex

func newRooted(root string, store meta.MetadataStorer, log *slog.Logger) (*rooted, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("find the object folder: %w", err)
	}
	var opts posix.PosixOpts
	// Objects hold customers' data: for the owner only, as the rest of the data folder.
	opts.SetNewDirPerm(0o700)
	opts.SetNewFilePerm(0o600)
	// One process, so locks between processes would only cost a file per put.
	opts.ForceNoObjLockFile = true

	chdir.Lock()
	defer chdir.Unlock()
	wd, wdErr := os.Getwd()
	p, err := posix.New(abs, store, opts)
	if wdErr == nil {
		if backErr := os.Chdir(wd); backErr != nil {
			return nil, errors.Join(err, fmt.Errorf("return to the working folder: %w", backErr))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open the object folder: %w", err)
	}
	return &rooted{posix: p, root: abs, log: log}, nil
}

// at is the absolute path of a bucket. The gateway has checked that the name is a valid bucket name, so it holds no
// separator and no "..".
func (r *rooted) at(bucket *string) *string {
	if bucket == nil {
		return nil
	}
	path := filepath.Join(r.root, *bucket)
	return &path
}

// name undoes at, for answers.
func (r *rooted) name(path *string) *string {
	if path == nil {
		return nil
	}
	name := r.bare(*path)
	return &name
}

func (r *rooted) bare(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, r.root), string(filepath.Separator))
}

// fault turns what is no answer of S3's into one: versitygw would print it on the program's stderr.
func (r *rooted) fault(ctx context.Context, err error) error {
	var answer s3err.S3Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answer):
		return answer
	case errors.Is(err, errGone):
		return s3err.GetAPIError(s3err.ErrIncompleteBody)
	}
	r.log.ErrorContext(ctx, "S3 gateway failed", "error", err)
	return s3err.GetAPIError(s3err.ErrInternalError)
}

func (r *rooted) String() string { return r.posix.String() }

func (r *rooted) Shutdown() { r.posix.Shutdown() }

func (r *rooted) NormalizeObjectKey(bucket, object string) string {
	return r.posix.NormalizeObjectKey(*r.at(&bucket), object)
}

func (r *rooted) ListBuckets(
	ctx context.Context, in s3response.ListBucketsInput,
) (s3response.ListAllMyBucketsResult, error) {
	return r.posix.ListBuckets(ctx, in)
}

func (r *rooted) HeadBucket(ctx context.Context, in *s3.HeadBucketInput) (*s3.HeadBucketOutput, error) {
	c := *in
	c.Bucket = r.at(in.Bucket)
	return r.posix.HeadBucket(ctx, &c)
}

func (r *rooted) CreateBucket(ctx context.Context, in *s3.CreateBucketInput, acl []byte) error {
	c := *in
	c.Bucket = r.at(in.Bucket)
	return r.posix.CreateBucket(ctx, &c, acl)
}

// GetBucketAcl is asked at every request; nothing here can change the answer, so it is read once.
func (r *rooted) GetBucketAcl(ctx context.Context, in *s3.GetBucketAclInput) ([]byte, error) {
	c := *in
	c.Bucket = r.at(in.Bucket)
	if acl, ok := r.acls.Load(*c.Bucket); ok {
		return acl.([]byte), nil
	}
	acl, err := r.posix.GetBucketAcl(ctx, &c)
	if err == nil {
		r.acls.Store(*c.Bucket, acl)
	}
	return acl, err
}

func (r *rooted) GetBucketPolicy(ctx context.Context, bucket string) ([]byte, error) {
	return r.posix.GetBucketPolicy(ctx, *r.at(&bucket))
}

func (r *rooted) GetBucketCors(ctx context.Context, bucket string) ([]byte, error) {
	return r.posix.GetBucketCors(ctx, *r.at(&bucket))
}

func (r *rooted) GetBucketVersioning(
	ctx context.Context, bucket string,
) (s3response.GetBucketVersioningOutput, error) {
	return r.posix.GetBucketVersioning(ctx, *r.at(&bucket))
}

func (r *rooted) GetObjectLockConfiguration(ctx context.Context, bucket string) ([]byte, error) {
	return r.posix.GetObjectLockConfiguration(ctx, *r.at(&bucket))
}

func (r *rooted) PutObject(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	in.Bucket = r.at(in.Bucket)
	in.Body = whole(in.Body, in.ContentLength)
	out, err := r.posix.PutObject(ctx, in)
	return out, r.fault(ctx, err)
}

func (r *rooted) HeadObject(ctx context.Context, in *s3.HeadObjectInput) (*s3.HeadObjectOutput, error) {
	c := *in
	c.Bucket = r.at(in.Bucket)
	out, err := r.posix.HeadObject(ctx, &c)
	return out, r.fault(ctx, err)
}

func (r *rooted) GetObject(ctx context.Context, in *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	c := *in
	c.Bucket = r.at(in.Bucket)
	out, err := r.posix.GetObject(ctx, &c)
	return out, r.fault(ctx, err)
}

func (r *rooted) DeleteObject(ctx context.Context, in *s3.DeleteObjectInput) (*s3.DeleteObjectOutput, error) {
	c := *in
	c.Bucket = r.at(in.Bucket)
	out, err := r.posix.DeleteObject(ctx, &c)
	return out, r.fault(ctx, err)
}

func (r *rooted) DeleteObjects(ctx context.Context, in *s3.DeleteObjectsInput) (s3response.DeleteResult, error) {
	c := *in
	c.Bucket = r.at(in.Bucket)
	out, err := r.posix.DeleteObjects(ctx, &c)
	return out, r.fault(ctx, err)
}

func (r *rooted) ListObjects(ctx context.Context, in *s3.ListObjectsInput) (s3response.ListObjectsResult, error) {
	c := *in
	c.Bucket = r.at(in.Bucket)
	out, err := r.posix.ListObjects(ctx, &c)
	out.Name = r.name(out.Name)
	return out, r.fault(ctx, err)
}

func (r *rooted) ListObjectsV2(
	ctx context.Context, in *s3.ListObjectsV2Input,
) (s3response.ListObjectsV2Result, error) {
	c := *in
	c.Bucket = r.at(in.Bucket)
	out, err := r.posix.ListObjectsV2(ctx, &c)
	out.Name = r.name(out.Name)
	return out, r.fault(ctx, err)
}

func (r *rooted) CreateMultipartUpload(
	ctx context.Context, in s3response.CreateMultipartUploadInput,
) (s3response.InitiateMultipartUploadResult, error) {
	in.Bucket = r.at(in.Bucket)
	out, err := r.posix.CreateMultipartUpload(ctx, in)
	out.Bucket = r.bare(out.Bucket)
	return out, r.fault(ctx, err)
}

func (r *rooted) UploadPart(ctx context.Context, in *s3.UploadPartInput) (*s3.UploadPartOutput, error) {
	c := *in
	c.Bucket = r.at(in.Bucket)
	c.Body = whole(in.Body, in.ContentLength)
	out, err := r.posix.UploadPart(ctx, &c)
	return out, r.fault(ctx, err)
}

func (r *rooted) CompleteMultipartUpload(
	ctx context.Context, in *s3.CompleteMultipartUploadInput,
) (s3response.CompleteMultipartUploadResult, string, error) {
	c := *in
	c.Bucket = r.at(in.Bucket)
	out, version, err := r.posix.CompleteMultipartUpload(ctx, &c)
	out.Bucket = r.name(out.Bucket)
	return out, version, r.fault(ctx, err)
}

func (r *rooted) AbortMultipartUpload(ctx context.Context, in *s3.AbortMultipartUploadInput) error {
	c := *in
	c.Bucket = r.at(in.Bucket)
	return r.fault(ctx, r.posix.AbortMultipartUpload(ctx, &c))
}

func (r *rooted) ListMultipartUploads(
	ctx context.Context, in *s3.ListMultipartUploadsInput,
) (s3response.ListMultipartUploadsResult, error) {
	c := *in
	c.Bucket = r.at(in.Bucket)
	out, err := r.posix.ListMultipartUploads(ctx, &c)
	out.Bucket = r.bare(out.Bucket)
	return out, r.fault(ctx, err)
}

func (r *rooted) ListParts(ctx context.Context, in *s3.ListPartsInput) (s3response.ListPartsResult, error) {
	c := *in
	c.Bucket = r.at(in.Bucket)
	out, err := r.posix.ListParts(ctx, &c)
	out.Bucket = r.bare(out.Bucket)
	return out, r.fault(ctx, err)
}

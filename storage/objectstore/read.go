package objectstore

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"waybill/internal/control"
	"waybill/internal/job"
)

// Get reads from offset, length bytes; length -1 means to the end. A range that reaches behind the end gives what there
// is, possibly nothing. NotFound is told here, not at the first read. The context must live until the caller closes.
func (s *Store) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if offset < 0 || length < -1 {
		return nil, job.Errorf(job.Internal, job.WordInvalidRange, "Range %d+%d of an object is not valid.", offset, length)
	}
	if length == 0 {
		if _, err := s.Stat(ctx, key); err != nil {
			return nil, err
		}
		return nothing(), nil
	}
	var opts minio.GetObjectOptions
	if offset > 0 || length > 0 {
		last := int64(0) // minio-go's word for "to the end"
		if length > 0 {
			last = offset + length - 1
		}
		if err := opts.SetRange(offset, last); err != nil {
			return nil, job.Wrap(err, job.Internal, job.WordInvalidRange, "Range of an object is not valid.")
		}
	}
	whole := offset == 0 && length < 0
	if whole && s.checksum.IsSet() {
		opts.Set("x-amz-checksum-mode", "ENABLED")
	}
	rc, info, _, err := s.core.GetObject(once(ctx), s.bucket, s.prefix+key, opts)
	if minio.ToErrorResponse(err).StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return nothing(), nil // the object is there, but shorter than offset
	}
	if err != nil {
		return nil, translate(ctx, err, "read an object")
	}
	b := &body{ReadCloser: rc, ctx: ctx, key: s.prefix + key}
	if whole {
		b.expect(info)
	}
	return b, nil
}

func nothing() io.ReadCloser { return io.NopCloser(bytes.NewReader(nil)) }

// List calls yield for every object below prefix in key order, beginning behind the key after, until it returns false.
func (s *Store) List(ctx context.Context, prefix, after string, yield func(control.Object) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the listing when yield does
	start := ""
	if after != "" {
		start = s.prefix + after
	}
	for o := range s.client.ListObjectsIter(once(ctx), s.bucket, minio.ListObjectsOptions{
		Prefix: s.prefix + prefix, StartAfter: start, Recursive: true, MaxKeys: listPage,
	}) {
		if o.Err != nil {
			return translate(ctx, o.Err, "list objects")
		}
		if !yield(control.Object{Key: strings.TrimPrefix(o.Key, s.prefix), Size: o.Size, Modified: o.LastModified}) {
			return nil
		}
	}
	if err := ctx.Err(); err != nil {
		return translate(ctx, err, "list objects")
	}
	return nil
}

// Stat describes key. NotFound for an unknown one.
func (s *Store) Stat(ctx context.Context, key string) (control.Object, error) {
	info, err := s.client.StatObject(once(ctx), s.bucket, s.prefix+key, minio.StatObjectOptions{})
	if err != nil {
		return control.Object{}, translate(ctx, err, "look at an object")
	}
	return control.Object{Key: key, Size: info.Size, Modified: info.LastModified}, nil
}

// Delete removes key; an unknown one is not an error.
func (s *Store) Delete(ctx context.Context, key string) error {
	err := translate(ctx, s.client.RemoveObject(once(ctx), s.bucket, s.prefix+key, minio.RemoveObjectOptions{}), "delete an object")
	if job.CodeOf(err) == job.NotFound {
		return nil
	}
	return err
}

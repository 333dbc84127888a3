package objectstore

import (
	"context"
	"mime"
	"net/url"

	"waybill/internal/job"
)

// Presigns tells whether clients can be sent to the store.
func (s *Store) Presigns() bool { return s.public != nil }

// Presign makes an address by which a client that has no keys can read the object for some minutes, under the file name and
// with the media type given. It asks the store nothing; whoever calls it has looked whether the client may.
func (s *Store) Presign(ctx context.Context, key, filename, contentType string) (string, error) {
	if s.public == nil {
		return "", job.Errorf(job.Internal, job.WordInternal, "The object store has no public endpoint.")
	}
	query := url.Values{
		"response-content-disposition": {mime.FormatMediaType("attachment", map[string]string{"filename": filename})},
		"response-content-type":        {contentType},
		"response-cache-control":       {"private, no-cache"},
	}
	u, err := s.public.PresignedGetObject(ctx, s.bucket, s.prefix+key, s.expiry, query)
	if err != nil {
		return "", translate(ctx, err, "sign an address")
	}
	if s.clocked != nil {
		u = s.clocked.presigned(u)
	}
	return u.String(), nil
}

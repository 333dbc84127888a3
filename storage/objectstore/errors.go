package objectstore

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/minio/minio-go/v7"

	"waybill/internal/job"
)

// translate is the one place where S3's errors become the domain's. doing says what was tried; the cause, which may name
// the endpoint, is for the log only.
func translate(ctx context.Context, err error, doing string) error {
	if err == nil {
		return nil
	}
	// The context first: net/http's own timeouts also say that they are context.DeadlineExceeded.
	if ctx.Err() != nil {
		return job.Wrap(context.Cause(ctx), job.Canceled, "", "Gave up trying to %s.", doing)
	}
	var own *job.Error
	if errors.As(err, &own) {
		return own
	}
	switch res := minio.ToErrorResponse(err); {
	case res.Code == minio.NoSuchKey:
		return job.Wrap(err, job.NotFound, job.WordNotFound, "There is no such object.")
	case isDown(err, res):
		return job.Wrap(err, job.Unavailable, job.WordDependencyDown, "The object store is not available.")
	}
	return job.Wrap(err, job.Internal, job.WordInternal, "Could not %s.", doing)
}

func isDown(err error, res minio.ErrorResponse) bool {
	switch res.Code {
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "ServiceUnavailable", "InternalError", "RequestTimeout",
		minio.NoSuchBucket: // somebody took it away
		return true
	}
	if res.StatusCode >= http.StatusInternalServerError || res.StatusCode == http.StatusTooManyRequests {
		return true
	}
	var (
		netErr net.Error
		urlErr *url.Error
	)
	return errors.As(err, &netErr) || errors.As(err, &urlErr) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

package objectstore

import (
	"context"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/lifecycle"
)

// maxAborts is how many uploads one call ends.
const maxAborts = 1000

// AbortUploads ends uploads in parts that were begun before the time and not finished, as a process leaves them that is killed:
// their parts take room and can not be seen. A MinIO lists none, and ends them by itself after a day.
func (s *Store) AbortUploads(ctx context.Context, before time.Time) (n int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the listing
	ctx = once(ctx)
	for u := range s.client.ListIncompleteUploads(ctx, s.bucket, s.prefix+"accounts/", true) {
		if u.Err != nil {
			return n, translate(ctx, u.Err, "list uploads")
		}
		if !u.Initiated.Before(before) {
			continue
		}
		err := s.core.AbortMultipartUpload(ctx, s.bucket, u.Key, u.UploadID)
		if err != nil && minio.ToErrorResponse(err).Code != "NoSuchUpload" {
			return n, translate(ctx, err, "end an upload")
		}
		if n++; n == maxAborts {
			return n, nil
		}
	}
	return n, nil
}

// uploadDays is after how many days the bucket's rule ends an upload in parts: long after any that is still under way.
const uploadDays = 2

// ManageLifecycle gives the bucket a rule by which the store ends broken uploads below our prefix by itself. Rules that are there
// are somebody else's and are left as they are, without ours beside them: writing them back could change what this version
// does not know of. It tells what was done, or why nothing was; either way AbortUploads does it, too.
func (s *Store) ManageLifecycle(ctx context.Context) (done bool, why string) {
	rule := lifecycle.Rule{
		ID: strings.TrimSuffix("waybill-uploads-"+strings.ReplaceAll(s.prefix, "/", "-"), "-"), Status: "Enabled",
		RuleFilter:                     lifecycle.Filter{Prefix: s.prefix},
		AbortIncompleteMultipartUpload: lifecycle.AbortIncompleteMultipartUpload{DaysAfterInitiation: uploadDays},
	}
	found, err := s.client.GetBucketLifecycle(ctx, s.bucket)
	switch {
	case err == nil && len(found.Rules) > 0:
		for _, r := range found.Rules {
			if r.ID == rule.ID {
				return true, ""
			}
		}
		return false, "the bucket has rules of its own"
	case err != nil && minio.ToErrorResponse(err).Code != "NoSuchLifecycleConfiguration":
		return false, "the bucket's rules can not be read: " + minio.ToErrorResponse(err).Code
	}
	c := lifecycle.NewConfiguration()
	c.Rules = []lifecycle.Rule{rule}
	if err := s.client.SetBucketLifecycle(ctx, s.bucket, c); err != nil {
		return false, "the rule can not be set: " + minio.ToErrorResponse(err).Code
	}
	return true, ""
}

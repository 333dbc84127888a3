package objectstore

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
)

// Inspection is what an object store says of the bucket. What the keys may not ask is as if it were not so, with Unasked set.
type Inspection struct {
	Public    bool // the bucket's policy lets everybody in
	Versioned bool
	Lifecycle int // rules
	Clock     time.Time
	Unasked   []string
}

// Inspect asks what an operator should know of the bucket.
func (s *Store) Inspect(ctx context.Context) (i Inspection, err error) {
	policy, err := s.client.GetBucketPolicy(ctx, s.bucket)
	switch {
	case err == nil:
		i.Public = isPublic(policy)
	case minio.ToErrorResponse(err).Code != minio.NoSuchBucketPolicy:
		i.Unasked = append(i.Unasked, "policy")
	}
	if v, err := s.client.GetBucketVersioning(ctx, s.bucket); err == nil {
		i.Versioned = v.Enabled()
	} else {
		i.Unasked = append(i.Unasked, "versioning")
	}
	if l, err := s.client.GetBucketLifecycle(ctx, s.bucket); err == nil {
		i.Lifecycle = len(l.Rules)
	} else if minio.ToErrorResponse(err).Code != "NoSuchLifecycleConfiguration" {
		i.Unasked = append(i.Unasked, "lifecycle")
	}
	i.Clock, err = s.clock(ctx)
	return i, err
}

// clock is the time that the store tells in its answers; a refusal has it too.
func (s *Store) clock(ctx context.Context) (time.Time, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.client.EndpointURL().String(), nil)
	if err != nil {
		return time.Time{}, err
	}
	answer, err := (&http.Client{Transport: s.transport}).Do(r)
	if err != nil {
		return time.Time{}, translate(ctx, err, "ask the object store for its time")
	}
	_ = answer.Body.Close() // only the header is of interest
	at, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return time.Time{}, fmt.Errorf("the object store tells no time: %w", err)
	}
	return at, nil
}

// isPublic tells whether a bucket policy allows anything to everybody without a condition. One that can not be read counts as if.
func isPublic(policy string) bool {
	if policy == "" {
		return false
	}
	var p struct {
		Statement []struct {
			Effect    string
			Principal any
			Condition map[string]any
		}
	}
	if err := json.Unmarshal([]byte(policy), &p); err != nil {
		return true
	}
	for _, s := range p.Statement {
		if s.Effect == "Allow" && len(s.Condition) == 0 && everybody(s.Principal) {
			return true
		}
	}
	return false
}

func everybody(principal any) bool {
	switch p := principal.(type) {
	case string:
		return p == "*"
	case []any:
		for _, one := range p {
			if everybody(one) {
				return true
			}
		}
	case map[string]any:
		return everybody(p["AWS"])
	}
	return false
}

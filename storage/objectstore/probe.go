package objectstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"

	"github.com/minio/minio-go/v7"
)

// Probe writes, reads and deletes an object, and explains what goes wrong: keys that may only read, an encryption that the
// store does not know.
func (s *Store) Probe(ctx context.Context) error {
	key := "probe/" + rand.Text()
	body := []byte(rand.Text())
	if _, err := s.upload(ctx, key, bytes.NewReader(body), int64(len(body))); err != nil {
		return explain(ctx, err, "write an object")
	}
	rc, err := s.Get(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(rc)
	_ = rc.Close() // it was only read
	if err != nil {
		return err
	}
	if !bytes.Equal(got, body) {
		return damaged(s.prefix + key)
	}
	// A gateway in between may know nothing of ranges, which packages and downloads need.
	part, err := s.Get(ctx, key, 3, 5)
	if err != nil {
		return err
	}
	got, err = io.ReadAll(part)
	_ = part.Close() // it was only read
	if err != nil {
		return err
	}
	if !bytes.Equal(got, body[3:8]) {
		return damaged(s.prefix + key)
	}
	return explain(ctx, s.client.RemoveObject(ctx, s.bucket, s.prefix+key, minio.RemoveObjectOptions{}), "delete an object")
}

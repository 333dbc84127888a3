package objectstore

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/minio/minio-go/v7"

	"waybill/internal/control"
	"waybill/internal/job"
)

// Put streams r to key; size -1 means unknown. It needs at most one part of memory. An object appears as a whole or not at
// all: a body that ends early, is longer than size or fails leaves what was there before.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, size int64) (control.Object, error) {
	src := &source{r: r, size: size}
	stored, err := s.put(ctx, key, src)
	if err != nil {
		return control.Object{}, src.blame(ctx, err)
	}
	return control.Object{Key: key, Size: stored}, nil
}

func (s *Store) put(ctx context.Context, key string, src *source) (int64, error) {
	if src.size > smallObject {
		return s.upload(ctx, key, src, src.size)
	}
	// Small, or not known yet: what fits into memory goes out as one request that can be repeated. Of a known size one
	// byte more is asked for, so that src notices a body that is too long.
	limit := int64(smallObject)
	var head bytes.Buffer
	if src.size >= 0 {
		limit = src.size + 1
		head.Grow(int(src.size) + bytes.MinRead)
	}
	if _, err := head.ReadFrom(io.LimitReader(src, limit)); err != nil {
		return 0, err
	}
	if read := int64(head.Len()); read < limit {
		return s.upload(ctx, key, bytes.NewReader(head.Bytes()), read)
	}
	return s.upload(ctx, key, io.MultiReader(&head, src), -1) // of an unknown size, and there may be more
}

func (s *Store) upload(ctx context.Context, key string, r io.Reader, size int64) (int64, error) {
	opts := minio.PutObjectOptions{
		PartSize:             partSize,
		NumThreads:           1, // one buffer per upload
		DisableContentSha256: s.unsigned,
		ServerSideEncryption: s.sse,
		Checksum:             s.checksum,
	}
	if whole, ok := r.(*bytes.Reader); ok && s.checksum.IsSet() {
		// minio-go repeats such a request, but goes on counting the checksum that it sends behind the body (v7.4.1). One that is
		// sent before the body is right every time.
		sum := crc32.New(castagnoli)
		if _, err := whole.WriteTo(sum); err != nil {
			return 0, err
		}
		if _, err := whole.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
		opts.Checksum = minio.ChecksumNone
		opts.UserMetadata = map[string]string{minio.ChecksumCRC32C.Key(): base64.StdEncoding.EncodeToString(sum.Sum(nil))}
	}
	info, err := s.client.PutObject(once(ctx), s.bucket, s.prefix+key, r, size, opts)
	if err != nil {
		return 0, err
	}
	if size >= 0 {
		return size, nil
	}
	return info.Size, nil
}

// source counts what is read, fails when that is not the size, and remembers whether the reader or the store failed.
type source struct {
	r    io.Reader
	size int64 // -1: unknown
	n    int64
	err  error
}

// Read looks one byte ahead at the end: a body that is too long must be found out before its last byte is sent.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	if err == nil && s.n == s.size {
		var next [1]byte
		var more int
		if more, err = io.ReadFull(s.r, next[:]); more > 0 {
			s.n++
		}
	}
	if s.size >= 0 && (s.n > s.size || errors.Is(err, io.EOF) && s.n < s.size) {
		return 0, s.mismatch()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

func (s *source) mismatch() error {
	if s.n > s.size {
		s.err = fmt.Errorf("body is longer than the %d bytes announced", s.size)
	} else {
		s.err = fmt.Errorf("body has %d bytes, not the %d announced: %w", s.n, s.size, io.ErrUnexpectedEOF)
	}
	return s.err
}

// blame tells a failing body, which is the caller's, from a failing store.
func (s *source) blame(ctx context.Context, err error) error {
	if s.err == nil || ctx.Err() != nil {
		return translate(ctx, err, "store an object")
	}
	var own *job.Error
	if errors.As(s.err, &own) {
		return s.err
	}
	return job.Wrap(s.err, job.Invalid, "", "The data could not be read to its end.")
}

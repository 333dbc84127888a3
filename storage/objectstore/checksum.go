package objectstore

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"io"

	"github.com/minio/minio-go/v7"

	"waybill/internal/job"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// body translates what goes wrong while reading. Of an object that is read as a whole and was stored with a checksum, the
// last bytes are given out only when all of them have it: who reads to the end has what was stored.
type body struct {
	io.ReadCloser
	ctx context.Context //nolint:containedctx // of the request the body belongs to
	key string

	sum  hash.Hash32 // nil: nothing to compare with
	want uint32
	left int64 // bytes until sum must be want
}

// expect makes the reader compare with the checksum that the store has of the object. A checksum of the parts' checksums,
// which other tools may have left, is not of use here.
func (b *body) expect(info minio.ObjectInfo) {
	raw, err := base64.StdEncoding.DecodeString(info.ChecksumCRC32C)
	if err != nil || len(raw) != crc32.Size || info.Size <= 0 || info.ChecksumMode == minio.ChecksumCompositeMode.String() {
		return
	}
	b.sum, b.want, b.left = crc32.New(castagnoli), binary.BigEndian.Uint32(raw), info.Size
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.sum != nil && n > 0 {
		_, _ = b.sum.Write(p[:n])
		if b.left -= int64(n); b.left <= 0 && b.sum.Sum32() != b.want {
			return 0, damaged(b.key)
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = translate(b.ctx, err, "read an object")
	}
	return n, err
}

// damaged is the error of an object that is not what was stored. The key is for the log.
func damaged(key string) error {
	return job.Wrap(errors.New("the checksum of "+key+" does not match"), job.Internal, job.WordCorruptObject,
		"The object store gave out other bytes than were stored.")
}

package s3gateway

import (
	"errors"
	"io"

	"github.com/versity/versitygw/s3api/middlewares"
)

var errGone = errors.New("the client went away before the end of the object")

// whole fails a body that ends before length. versitygw takes a client that went away midway for one that was done, and
// would store what came as the object.
func whole(body io.Reader, length *int64) io.Reader {
	if body == nil || length == nil {
		return body
	}
	w := &wholeReader{r: body, left: *length}
	if c, ok := body.(middlewares.ChecksumReader); ok { // posix asks for the checksum behind the body
		return struct {
			*wholeReader
			checksum
		}{w, c}
	}
	return w
}

// checksum is middlewares.ChecksumReader without Read.
type checksum interface {
	Algorithm() string
	Checksum() string
}

type wholeReader struct {
	r    io.Reader
	left int64 // bytes
}

// Read must not fail with io.ErrUnexpectedEOF, which versitygw turns into io.EOF.
func (w *wholeReader) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.left -= int64(n)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) && w.left > 0 {
		err = errGone
	}
	return n, err
}

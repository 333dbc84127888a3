package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"waybill/internal/job"
)

// Content is bytes of known length that a reply shows whole or in ranges (RFC 9110, 14).
type Content struct {
	Size     int64
	Modified time.Time // zero: unknown
	// Open reads length bytes from offset; length -1 means to the end.
	Open func(offset, length int64) (io.ReadCloser, error)
	// Digest is the base64 of the whole content's SHA-256; empty: not told.
	Digest string
}

// ServeContent answers with content: 200, 206, 304, 412 or 416. Headers that describe it - Content-Type, ETag - are to
// be set before. What can not be opened is answered with an error, as long as nothing is sent yet; after that the reply
// is broken off, so that nobody takes a part for the whole.
func (s *Server) ServeContent(c *gin.Context, content Content) {
	reader := &contentReader{content: content}
	defer reader.close()
	stream := NewStream(c.Writer)
	defer stream.Done()
	w := &contentWriter{ResponseWriter: c.Writer, stream: stream, reader: reader, digest: content.Digest}
	if value := c.Request.Header.Get("Range"); value != "" {
		c.Request.Header.Set("Range", soundRange(value, content.Size))
	}
	http.ServeContent(w, c.Request, "", content.Modified, reader)
	switch {
	case w.refused == http.StatusRequestedRangeNotSatisfiable:
		size := fmt.Sprintf("bytes */%d", content.Size)
		r := RequestOf(c.Request.Context())
		f := r.door.Fault(
			r,
			job.Errorf(job.Invalid, job.WordInvalidRange, "The range lies outside of the %d bytes there are", content.Size),
		)
		f.GetHeaders().Set("Content-Range", size)
		WriteFault(c.Writer, f)
	case w.refused == http.StatusPreconditionFailed:
		s.Fail(c, job.Errorf(job.Conflict, WordPreconditionFailed, "The file is not the one the precondition names"))
	case w.refused != 0 && reader.err != nil:
		s.Fail(c, reader.err)
	case reader.err != nil && c.Request.Context().Err() == nil:
		RequestOf(c.Request.Context()).Blame(reader.err)
		panic(http.ErrAbortHandler)
	}
}

// soundRange makes a Range what http.ServeContent takes as RFC 9110 means it: an unknown unit asks for nothing (14.2), and
// the last 0 bytes lie outside of every content (14.1.2), where ServeContent would send a Content-Range that ends before
// it starts.
func soundRange(value string, size int64) string {
	unit, specs, found := strings.Cut(value, "=")
	if !found {
		return value
	}
	if !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return ""
	}
	parts := strings.Split(specs, ",")
	for i, spec := range parts {
		if last, ok := strings.CutPrefix(strings.TrimSpace(spec), "-"); ok && last != "" && strings.Trim(last, "0") == "" {
			parts[i] = fmt.Sprintf("%d-", size)
		}
	}
	return "bytes=" + strings.Join(parts, ",")
}

// contentReader opens the content where it is first read after a seek.
type contentReader struct {
	content Content
	at      int64
	open    io.ReadCloser
	err     error
}

func (r *contentReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.content.Size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	if offset != r.at {
		r.close()
	}
	r.at = offset
	return offset, nil
}

// prepare opens the content at the present place, before the reply's header goes out.
func (r *contentReader) prepare() error {
	if r.open == nil && r.err == nil && r.at < r.content.Size {
		r.open, r.err = r.content.Open(r.at, r.content.Size-r.at)
	}
	return r.err
}

func (r *contentReader) Read(p []byte) (int, error) {
	if r.at >= r.content.Size {
		return 0, io.EOF
	}
	if err := r.prepare(); err != nil {
		return 0, err
	}
	n, err := r.open.Read(p)
	r.at += int64(n)
	if errors.Is(err, io.EOF) && r.at < r.content.Size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

func (r *contentReader) close() {
	if r.open != nil {
		_ = r.open.Close() // it was only read
		r.open = nil
	}
}

// contentWriter holds back what http.ServeContent says in plain text, so that the door can say it in its own shape.
type contentWriter struct {
	http.ResponseWriter
	stream  *Stream
	reader  *contentReader
	digest  string
	refused int // status that was not written
}

func (w *contentWriter) WriteHeader(status int) {
	h := w.Header()
	switch {
	case status >= 400:
		w.refused = status
		return
	case status == http.StatusOK && w.digest != "":
		h.Set("Content-Digest", "sha-256=:"+w.digest+":")
	case status == http.StatusPartialContent && w.digest != "":
		// Content-Digest would be that of the part (RFC 9530, 2); the whole's goes by another name (3).
		h.Set("Repr-Digest", "sha-256=:"+w.digest+":")
	}
	if status != http.StatusNotModified && w.reader.prepare() != nil {
		w.refused = status
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *contentWriter) Write(p []byte) (int, error) {
	if w.refused != 0 {
		return len(p), nil
	}
	return w.stream.Write(p)
}

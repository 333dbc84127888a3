package native

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
)

// uploadBody documents the body of an upload; the handler reads it as a stream.
type uploadBody struct{}

func (uploadBody) describe(op *huma.Operation, _ huma.Registry) {
	binary := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	form := &huma.Schema{Type: huma.TypeObject, Required: []string{"file"}, Properties: map[string]*huma.Schema{
		"key":  {Type: huma.TypeString, Description: "Defaults to the file's own name"},
		"file": binary,
	}}
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"multipart/form-data": {Schema: form}, "application/octet-stream": {Schema: binary},
		"application/zip": {Schema: binary}, "application/java-archive": {Schema: binary},
	}}
}

// rawTypes are the labels of a body that is the file itself (native.md, 5).
var rawTypes = map[string]bool{
	"":                         true,
	"application/octet-stream": true,
	"application/zip":          true,
	"application/java-archive": true,
}

// formOverhead is what a form may add to its file: boundaries, headers, the key.
const formOverhead = 1 << 20 // bytes

// readUpload finds the file in a request without reading it. key comes from the path or the query and may be empty.
func (d *door) readUpload(r *api.Request, key string) (control.Upload, error) {
	label, params, err := mime.ParseMediaType(r.HTTP.Header.Get("Content-Type"))
	if r.HTTP.Header.Get("Content-Type") == "" {
		label, err = "", nil
	}
	limit := d.server.Files.MaxSize
	switch {
	case err == nil && rawTypes[label]:
		if r.HTTP.ContentLength > limit {
			return control.Upload{}, job.Errorf(job.TooLarge, job.WordTooLarge, "The file is larger than %d bytes", limit)
		}
		return readRaw(r, key, label)
	case err == nil && label == "multipart/form-data" && params["boundary"] != "":
		if r.HTTP.ContentLength > limit+formOverhead {
			return control.Upload{}, job.Errorf(job.TooLarge, job.WordTooLarge, "The file is larger than %d bytes", limit)
		}
		return newForm(r, key, params["boundary"], limit+formOverhead)
	}
	return control.Upload{}, job.Errorf(job.Invalid, api.WordUnsupportedMediaType,
		"A file comes as multipart/form-data, application/octet-stream, application/zip or application/java-archive")
}

func readRaw(r *api.Request, key, label string) (control.Upload, error) {
	if key == "" {
		if _, params, err := mime.ParseMediaType(r.HTTP.Header.Get("Content-Disposition")); err == nil {
			key = baseName(params["filename"])
		}
	}
	if key == "" {
		return control.Upload{}, missing("key")
	}
	sum, err := contentDigest(r.HTTP.Header)
	if label == "" {
		label = "application/octet-stream"
	}
	return control.Upload{Key: key, Body: r.HTTP.Body, ContentType: label, SHA256: sum}, err
}

// baseName is the last part of a file name as any system writes it.
func baseName(s string) string { return s[strings.LastIndexAny(s, `/\`)+1:] }

// contentDigest reads the SHA-256 of a Content-Digest header (RFC 9530); nil when there is none.
func contentDigest(h http.Header) ([]byte, error) {
	for _, one := range strings.Split(strings.Join(h.Values("Content-Digest"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(one), "=")
		if !strings.EqualFold(name, "sha-256") {
			continue
		}
		text, begins := strings.CutPrefix(strings.TrimSpace(value), ":")
		text, ends := strings.CutSuffix(text, ":")
		if !begins || !ends {
			return nil, invalid("Content-Digest is written sha-256=:<base64>:")
		}
		sum, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(sum) != sha256.Size {
			return nil, invalid("Content-Digest does not hold a SHA-256")
		}
		return sum, nil
	}
	return nil, nil
}

// form is a multipart upload on its way in: parts "key" and "file" in either order. Nothing of it is buffered: the file
// is handed on as a stream, and what stands behind it is read when the file has been.
type form struct {
	parts *multipart.Reader
	body  io.Reader
	key   string // found so far
	name  string // the file's own name, the key of last resort
	fixed bool   // key is the path's: the form can not change it

	digest      []byte // announced for the request, or nil
	whole, file hash.Hash
}

func newForm(r *api.Request, key, boundary string, limit int64) (control.Upload, error) {
	f := &form{key: key, fixed: key != ""}
	f.body = &limited{r: r.HTTP.Body, left: limit}
	var err error
	if f.digest, err = contentDigest(r.HTTP.Header); err != nil {
		return control.Upload{}, err
	}
	if f.digest != nil {
		f.whole, f.file = sha256.New(), sha256.New()
		f.body = io.TeeReader(f.body, f.whole)
	}
	f.parts = multipart.NewReader(f.body, boundary)
	part, err := f.next()
	switch {
	case errors.Is(err, io.EOF):
		return control.Upload{}, missing("file")
	case err != nil:
		return control.Upload{}, err
	}
	f.name = baseName(part.FileName())
	u := control.Upload{Key: f.key, Body: part, ContentType: fileType(part.Header.Get("Content-Type")), Finish: f.finish}
	if f.file != nil {
		u.Body = io.TeeReader(part, f.file)
	}
	return u, nil
}

// maxKeyPart is more than a key may have, so that one that is too long is seen to be.
const maxKeyPart = 4096 // bytes

// next goes to the file, taking up the key on the way; io.EOF when there is no more file.
func (f *form) next() (*multipart.Part, error) {
	for {
		part, err := f.parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		if err != nil {
			return nil, formError(err)
		}
		switch part.FormName() {
		case "file":
			return part, nil
		case "key":
			text, err := io.ReadAll(io.LimitReader(part, maxKeyPart))
			if err != nil {
				return nil, formError(err)
			}
			if !f.fixed {
				f.key, f.fixed = string(text), true
			}
		}
	}
}

// finish reads what stands behind the file and gives the key.
func (f *form) finish() (string, error) {
	switch _, err := f.next(); {
	case err == nil:
		return "", invalid("The form has more than one part 'file'")
	case !errors.Is(err, io.EOF):
		return "", err
	}
	if err := f.checkDigest(); err != nil {
		return "", err
	}
	key := f.key
	if key == "" {
		key = f.name
	}
	if key == "" {
		return "", missing("key")
	}
	return key, nil
}

// checkDigest compares the announced digest. By RFC 9530 it is that of the whole form; that of the file alone is what
// many clients mean, so either will do.
func (f *form) checkDigest() error {
	if f.digest == nil {
		return nil
	}
	if _, err := io.Copy(io.Discard, f.body); err != nil { // what follows the last boundary counts too
		return formError(err)
	}
	if !bytes.Equal(f.digest, f.whole.Sum(nil)) && !bytes.Equal(f.digest, f.file.Sum(nil)) {
		return job.Errorf(job.Invalid, job.WordDigestMismatch, "The body does not have the SHA-256 that Content-Digest names")
	}
	return nil
}

func formError(err error) error {
	var own *job.Error
	if errors.As(err, &own) {
		return own
	}
	return job.Wrap(err, job.Invalid, job.WordInvalidField, "The form is broken off or not well-formed")
}

// fileType is the type a part of a form is labelled with, if it is one.
func fileType(label string) string {
	if _, _, err := mime.ParseMediaType(label); err != nil || len(label) > 255 || !utf8.ValidString(label) {
		return "application/octet-stream"
	}
	return label
}

// limited fails, rather than ends, when a body is longer than it may be.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, job.Errorf(job.TooLarge, job.WordTooLarge, "The body is too large")
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

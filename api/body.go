package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"waybill/internal/job"
)

// MaxJSON bounds a JSON body (native.md, 1.3).
const MaxJSON = 1 << 20 // bytes

// BodyTime is how long a body that is read as a whole may take: the caller was identified before it.
const BodyTime = 30 * time.Second

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// ReadBody gives a body of at most limit bytes to use, which must not keep it. An announced length over the limit is
// refused before a byte is read, a body that takes longer than BodyTime while it is. Whoever sends it slowly is asked for once more who they
// are: use is not called for somebody who has lost their rights meanwhile.
func ReadBody(r *http.Request, limit int64, use func([]byte) error) error {
	if p, ok := r.Body.(*patient); ok {
		p.until = p.now().Add(BodyTime)
	}
	tooLarge := job.Errorf(job.TooLarge, job.WordTooLarge, "The body is larger than %d bytes", limit)
	if r.ContentLength > limit {
		return tooLarge
	}
	buf := bodies.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= 64<<10 { // a rare large body must not stay in the pool
			buf.Reset()
			bodies.Put(buf)
		}
	}()
	n, err := buf.ReadFrom(io.LimitReader(r.Body, limit+1))
	switch {
	case err != nil && r.Context().Err() != nil:
		return job.Wrap(err, job.Canceled, "", "The request was broken off")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return job.Wrap(err, job.Invalid, job.WordInvalidField, "The body was not sent within %d seconds", int(BodyTime.Seconds()))
	case err != nil:
		return job.Wrap(err, job.Invalid, job.WordInvalidField, "The body can not be read")
	case n > limit:
		return tooLarge
	}
	if err := StillKnown(r.Context()); err != nil {
		return err
	}
	return use(buf.Bytes())
}

// DecodeJSON reads a JSON object into v, a pointer to a struct. Names are case-sensitive, unknown ones are ignored, and
// a name that occurs twice, text that is not UTF-8 or a nesting of more than 10 000 levels is malformed: readers
// disagree about such texts, so none is guessed at.
func DecodeJSON(text []byte, v any) error {
	err := json.Unmarshal(text, v)
	var syntax *jsontext.SyntacticError
	var meaning *json.SemanticError
	var own *job.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case errors.As(err, &meaning):
		if place := fieldName(meaning.JSONPointer); place != "" {
			return job.Wrap(err, job.Invalid, job.WordInvalidField, "%s must be %s", place, kindName(meaning.GoType))
		}
		return job.Wrap(err, job.Invalid, job.WordInvalidField, "The body must be %s", kindName(meaning.GoType))
	case errors.As(err, &syntax):
		line, column := position(text, int(syntax.ByteOffset))
		return job.Wrap(err, job.Invalid, job.WordMalformedJSON, "Invalid JSON at line %d, column %d", line, column)
	}
	line, column := position(text, len(text))
	return job.Wrap(err, job.Invalid, job.WordMalformedJSON, "Invalid JSON at line %d, column %d", line, column)
}

// position turns a byte offset into line and column, both from 1; columns count characters.
func position(text []byte, offset int) (line, column int) {
	before := text[:min(max(offset, 0), len(text))]
	line = 1 + bytes.Count(before, []byte{'\n'})
	return line, 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
}

// maxFieldName bounds how much of a client's own names an error repeats.
const maxFieldName = 200

// fieldName turns a JSON pointer into the way a person writes it: /macros/0/key becomes macros[0].key.
func fieldName(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		if _, err := strconv.Atoi(token); err == nil && b.Len() > 0 {
			fmt.Fprintf(&b, "[%s]", token)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(strings.ToValidUTF8(token, "?"))
	}
	if b.Len() > maxFieldName {
		return strings.ToValidUTF8(b.String()[:maxFieldName], "") + "..."
	}
	return b.String()
}

func kindName(t reflect.Type) string {
	if t == nil {
		return "of another type"
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "an array"
	}
	return "an object"
}

package informatica

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"waybill/api"
	"waybill/internal/job"
)

// format is how a body is written.
type format int

const (
	asJSON format = iota
	asXML
)

func (f format) contentType() string {
	if f == asXML {
		return "application/xml"
	}
	return "application/json"
}

// isV3 tells whether a path is of the API that is JSON only.
func isV3(path string) bool { return strings.HasPrefix(path, coreBase) }

// bodyFormat is what a request's body is said to be; known is false for a label that is not taken, or that there is none.
func bodyFormat(h http.Header) (f format, known bool) {
	label, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return asJSON, false
	}
	if charset := strings.ToLower(params["charset"]); charset != "" && charset != "utf-8" && charset != "us-ascii" {
		return asJSON, false
	}
	switch label {
	case "application/json":
		return asJSON, true
	case "application/xml", "text/xml":
		return asXML, true
	}
	return asJSON, false
}

// formatOf is how the reply to a request is written (informatica.md, 1).
func formatOf(r *http.Request) format {
	if isV3(r.URL.Path) {
		return asJSON
	}
	accept := strings.Join(r.Header.Values("Accept"), ",")
	best, quality, wild := asJSON, 0.0, strings.TrimSpace(accept) == ""
	for _, part := range strings.Split(accept, ",") {
		label, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if text, given := params["q"]; given {
			if q, err = strconv.ParseFloat(text, 64); err != nil {
				continue
			}
		}
		if q <= quality {
			continue
		}
		switch label {
		case "application/json":
			best, quality, wild = asJSON, q, false
		case "application/xml", "text/xml":
			best, quality, wild = asXML, q, false
		case "*/*", "application/*":
			quality, wild = q, true
		}
	}
	if wild {
		best, _ = bodyFormat(r.Header)
	}
	return best
}

// maxBody bounds a body.
const maxBody = 1 << 20 // bytes

// read reads a request's body. v3 knows neither XML nor "@type".
func (c *call) read(into any) error {
	f, known := bodyFormat(c.HTTP.Header)
	if isV3(c.Path) && f == asXML {
		known = false
	}
	return api.ReadBody(c.gin.Request, maxBody, func(text []byte) error {
		switch {
		case len(bytes.TrimSpace(text)) == 0:
			return badBody("The body is empty")
		case !known && isV3(c.Path):
			return job.Errorf(job.Invalid, api.WordUnsupportedMediaType, "The body must be application/json in UTF-8")
		case !known:
			return job.Errorf(job.Invalid, api.WordUnsupportedMediaType, "The body must be application/json or application/xml in UTF-8")
		case f == asXML:
			return readXML(text, into)
		}
		return api.DecodeJSON(text, into)
	})
}

func badBody(format string, args ...any) error {
	return job.Errorf(job.Invalid, job.WordMalformedJSON, format, args...)
}

// write answers with an object or a list of objects.
func (c *call) write(v any) error {
	text, err := c.as.encode(v)
	if err != nil {
		return err
	}
	c.gin.Header("Content-Type", c.as.contentType())
	c.gin.Status(http.StatusOK)
	_, _ = c.gin.Writer.Write(text) // the client may be gone
	return nil
}

// encode writes an object, or a list of objects, that name themselves by "@type".
func (f format) encode(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil || f == asJSON {
		return append(text, '\n'), err
	}
	out := bytes.NewBufferString(xmlHead)
	if text[0] == '[' {
		_, _ = out.WriteString("<" + listElement + ">")
	}
	if err := toXML(out, text); err != nil {
		return nil, err
	}
	if text[0] == '[' {
		_, _ = out.WriteString("</" + listElement + ">")
	}
	return out.Bytes(), nil
}

// xmlHead is how every XML document begins; listElement is what lists stand in.
const (
	xmlHead     = `<?xml version="1.0" encoding="UTF-8"?>`
	listElement = "root"
)

// toXML rewrites JSON of ours: an object becomes an element under the name its "@type" tells, a member an element under its own name, a
// list inside an object the member's element for each of its members.
func toXML(out *bytes.Buffer, text []byte) error {
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	token, err := in.Token()
	if err != nil {
		return err
	}
	if token == json.Delim('[') {
		for in.More() {
			if _, err := in.Token(); err != nil { // its '{'
				return err
			}
			if err := objectToXML(out, in, ""); err != nil {
				return err
			}
		}
		return nil
	}
	return objectToXML(out, in, "")
}

// objectToXML writes the object whose opening brace was read. Without a name it is the one of its "@type", which comes first.
func objectToXML(out *bytes.Buffer, in *json.Decoder, name string) error {
	if name != "" {
		_, _ = out.WriteString("<" + name + ">")
	}
	for in.More() {
		key, err := in.Token()
		if err != nil {
			return err
		}
		member, _ := key.(string)
		if member == "@type" {
			kind, err := in.Token()
			if err != nil {
				return err
			}
			if name == "" {
				name, _ = kind.(string)
				_, _ = out.WriteString("<" + name + ">")
			}
			continue
		}
		if err := memberToXML(out, in, member); err != nil {
			return err
		}
	}
	_, err := in.Token()
	_, _ = out.WriteString("</" + name + ">")
	return err
}

func memberToXML(out *bytes.Buffer, in *json.Decoder, name string) error {
	value, err := in.Token()
	if err != nil {
		return err
	}
	switch value := value.(type) {
	case json.Delim:
		if value == '{' {
			return objectToXML(out, in, name)
		}
		for in.More() {
			if err := memberToXML(out, in, name); err != nil {
				return err
			}
		}
		_, err = in.Token()
		return err
	case string:
		return textToXML(out, name, value)
	case bool:
		return textToXML(out, name, strconv.FormatBool(value))
	case json.Number:
		return textToXML(out, name, value.String())
	}
	return nil // null: absent
}

func textToXML(out io.Writer, name, text string) error {
	_, _ = io.WriteString(out, "<"+name+">")
	err := xml.EscapeText(out, []byte(text))
	_, _ = io.WriteString(out, "</"+name+">")
	return err
}

package informatica

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"waybill/internal/job"
)

// Limits of an XML body beside its size. None of what this door takes comes near them.
const (
	maxDepth    = 32
	maxElements = 10_000
	maxTokens   = 50_000 // tags, texts, comments
)

// node is an element.
type node struct {
	name     string
	text     strings.Builder // of all its parts: a comment or another element splits a text
	children []*node
}

// readXML reads an element into v, a pointer to a struct whose members have names by their json tags. Names are case-sensitive, unknown
// elements and all attributes are ignored. The name of the root does not matter. There are no entities but those of XML itself: a
// document that could declare others is refused, and so are processing instructions behind the head.
func readXML(text []byte, v any) error {
	if !utf8.Valid(text) {
		return badBody("The body is not UTF-8")
	}
	root, err := parseXML(text)
	if err != nil {
		return err
	}
	return root.into(reflect.ValueOf(v).Elem(), "")
}

// checkCharset takes what a document says of its encoding, where that is not UTF-8 as the decoder knows it. ASCII is a part of UTF-8, and what
// widely used libraries declare if they are not told otherwise.
func checkCharset(label string, text []byte) error {
	switch strings.ToLower(label) {
	case "utf8":
		return nil
	case "ascii", "us-ascii":
		if bytes.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) {
			return badBody("The XML is not in the ASCII that it declares")
		}
		return nil
	}
	return badBody("XML is taken in UTF-8 or ASCII")
}

func parseXML(text []byte) (root *node, err error) {
	in := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	in.Strict = true
	in.CharsetReader = func(label string, rest io.Reader) (io.Reader, error) {
		return rest, checkCharset(label, text)
	}
	var open []*node
	for elements, tokens := 0, 0; ; {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if refused := (*job.Error)(nil); errors.As(err, &refused) { // checkCharset's
			return nil, refused
		}
		if err != nil {
			line, column := in.InputPos()
			return nil, badBody("Invalid XML at line %d, column %d", line, column)
		}
		if tokens++; tokens > maxTokens {
			return nil, badBody("The XML has too many parts")
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, badBody("XML with a DOCTYPE is not taken")
		case xml.ProcInst:
			if root != nil {
				return nil, badBody("XML with processing instructions behind its head is not taken")
			}
		case xml.StartElement:
			if elements++; elements > maxElements || len(open) >= maxDepth {
				return nil, badBody("The XML has too many or too deeply nested elements")
			}
			n := &node{name: t.Name.Local}
			switch {
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.children = append(parent.children, n)
			case root != nil:
				return nil, badBody("The XML has more than one root")
			default:
				root = n
			}
			open = append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				_, _ = open[len(open)-1].text.Write(t)
			} else if len(bytes.TrimSpace(t)) > 0 {
				return nil, badBody("The XML has text outside of its root")
			}
		}
	}
	if root == nil {
		return nil, badBody("The XML has no element")
	}
	return root, nil
}

// into lays an element over a struct.
func (n *node) into(to reflect.Value, at string) error {
	seen := map[string]bool{}
	for _, child := range n.children {
		field, ok := fieldOf(to, child.name)
		if !ok {
			continue
		}
		place := at + child.name
		if seen[child.name] && field.Kind() != reflect.Slice {
			return badBody("%s occurs twice", place)
		}
		seen[child.name] = true
		if err := child.set(field, place); err != nil {
			return err
		}
	}
	return nil
}

// fieldOf finds the field of a struct whose json tag has the name.
func fieldOf(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if tag == name {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func (n *node) set(to reflect.Value, at string) error {
	text := strings.TrimSpace(n.text.String())
	switch to.Kind() {
	case reflect.Pointer:
		value := reflect.New(to.Type().Elem())
		if err := n.set(value.Elem(), at); err != nil {
			return err
		}
		to.Set(value)
	case reflect.Struct:
		return n.into(to, at+".")
	case reflect.String:
		if len(n.children) > 0 {
			return badField("%s must be a string", at)
		}
		to.SetString(n.text.String())
	case reflect.Bool:
		value, err := strconv.ParseBool(text)
		if err != nil || text != "true" && text != "false" {
			return badField("%s must be true or false", at)
		}
		to.SetBool(value)
	case reflect.Int64:
		value, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return badField("%s must be a whole number", at)
		}
		to.SetInt(value)
	}
	return nil
}

package job

import (
	"encoding/json"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of messages and output values (native.md, 6.2: 750 KB a message; the others are ours, to bound a job).
const (
	MaxMessageBody   = 750 << 10 // bytes
	MaxMessageName   = 255       // bytes: it is the name of a file, too
	MaxMessages      = 100       // of a job, in or out
	MaxMessageBytes  = 4 << 20   // bodies and properties of a job's out messages together
	MaxProperties    = 100       // of a message
	MaxPropertyKey   = 255       // bytes
	MaxPropertyValue = 4000      // bytes
	MaxOutValues     = 100       // of a job
	MaxOutValue      = 4000      // bytes of JSON
	MaxOutFilesShown = 1000      // files of a running job that are listed
)

// OutMessage is a message that a job gave. The last one of a name counts.
type OutMessage struct {
	Message
	Size   int64 // bytes of the body, also where the body is not read
	ToldAt time.Time
}

// OutValue is a named value that a job gave.
type OutValue struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}

// ValidMessageName tells whether a message may be called so. Its name is a file's and a part of an address; "files" is where
// the output files have theirs.
func ValidMessageName(s string) bool {
	return ValidOutputName(s) && !strings.ContainsAny(s, `/\`) && s != "." && s != ".." && s != "files"
}

// ValidOutputName tells whether an output value may be called so.
func ValidOutputName(s string) bool {
	return s != "" && len(s) <= MaxMessageName && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) &&
		strings.TrimSpace(s) == s
}

// Bytes is what the message counts against a limit.
func (m Message) Bytes() int {
	n := len(m.Body)
	for _, p := range m.Properties {
		n += len(p.Key) + len(p.Value)
	}
	return n
}

// CheckMessages checks the messages a job is given. what is the name of the member, for the error.
func CheckMessages(what string, messages []Message) error {
	if len(messages) > MaxMessages {
		return Errorf(Invalid, WordInvalidField, "%s has more than %d messages", what, MaxMessages)
	}
	seen := map[string]bool{}
	total := 0
	for _, m := range messages {
		if m.Name == "" {
			return Errorf(Invalid, WordMissingField, "%s: name is required", what)
		}
		if !ValidMessageName(m.Name) {
			return Errorf(Invalid, WordInvalidField,
				"%s: a name has 1 to %d bytes, no control characters, no slashes, no space at its ends, and is not 'files'", what, MaxMessageName)
		}
		key := strings.ToLower(m.Name) // there are file systems to which both are one
		if seen[key] {
			return Errorf(Invalid, WordInvalidField, "%s names '%s' twice", what, m.Name)
		}
		seen[key] = true
		if len(m.Body) > MaxMessageBody {
			return Errorf(TooLarge, WordTooLarge, "%s: the body of '%s' is over %d bytes", what, m.Name, MaxMessageBody)
		}
		if !storable(m.Body) {
			return Errorf(Invalid, WordInvalidField, "%s: the body of '%s' is not text", what, m.Name)
		}
		if fault := CheckProperties(m.Properties); fault != "" {
			return Errorf(Invalid, WordInvalidField, "%s: '%s': %s", what, m.Name, fault)
		}
		if total += m.Bytes(); total > MaxMessageBytes {
			return Errorf(TooLarge, WordTooLarge, "%s has more than %d bytes together", what, MaxMessageBytes)
		}
	}
	return nil
}

// CheckMessageNames checks the names of messages that are waited for.
func CheckMessageNames(what string, names []string) error {
	if len(names) > MaxMessages {
		return Errorf(Invalid, WordInvalidField, "%s has more than %d names", what, MaxMessages)
	}
	for _, name := range names {
		if !ValidMessageName(name) {
			return Errorf(Invalid, WordInvalidField,
				"%s: a name has 1 to %d bytes, no control characters, no slashes, no space at its ends, and is not 'files'", what, MaxMessageName)
		}
	}
	return nil
}

// CheckProperties says what is wrong with the properties of a message; "" if nothing is.
func CheckProperties(properties []MessageProperty) string {
	if len(properties) > MaxProperties {
		return "a message has at most 100 properties"
	}
	seen := map[string]bool{}
	for _, p := range properties {
		switch {
		case p.Key == "" || len(p.Key) > MaxPropertyKey || !storable(p.Key) || strings.ContainsFunc(p.Key, unicode.IsControl):
			return "the key of a property has 1 to 255 bytes and no control characters"
		case seen[p.Key]:
			return "a property is given twice"
		case len(p.Value) > MaxPropertyValue || !storable(p.Value):
			return "the value of a property has at most 4000 bytes of text"
		}
		seen[p.Key] = true
	}
	return ""
}

// storable tells whether a text can be kept as it is: databases take neither NUL nor broken UTF-8.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

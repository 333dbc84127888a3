package report

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"waybill/internal/job"
)

// event is a line, read. Only the members of its type are set.
type event struct {
	Type       string          `json:"type"`
	Name       string          `json:"name"` // of the step, the message, the value
	Status     string          `json:"status"`
	ReturnCode *int32          `json:"returnCode"`
	Message    string          `json:"message"`
	Step       string          `json:"step"`
	Read       *int64          `json:"read"`
	Written    *int64          `json:"written"`
	Failed     *int64          `json:"failed"`
	Ignored    *int64          `json:"ignored"`
	Done       *int64          `json:"done"`
	Total      *int64          `json:"total"`
	RecordID   recordID        `json:"recordId"`
	Code       recordID        `json:"code"`
	TraceKey   recordID        `json:"traceKey"`
	Data       json.RawMessage `json:"data"`
	Body       json.RawMessage `json:"body"` // of a message
	BodyFile   string          `json:"bodyFile"`
	Properties properties      `json:"properties"`
	Value      json.RawMessage `json:"value"` // of an output
}

// recordID is a text that programs also write as a number: ids of tables and HTTP codes are numbers to them.
type recordID string

// UnmarshalJSON takes a string or a number.
func (r *recordID) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] != '"' && !bytes.Equal(text, []byte("null")) {
		var n json.Number
		if err := json.Unmarshal(text, &n); err != nil {
			return err
		}
		*r = recordID(n)
		return nil
	}
	return json.Unmarshal(text, (*string)(r))
}

// Why a line is not understood.
type fault string

func (f fault) Error() string { return string(f) }

const (
	notJSON        fault = "not a JSON object with members of the right kinds"
	noType         fault = "no type that is known"
	noName         fault = "a step without a name"
	noStatus       fault = "a step's status is started, finished or failed"
	noDone         fault = "progress without done"
	negative       fault = "a number below 0"
	badRecordID    fault = "a recordId has 1 to 255 bytes and no control characters"
	badMessageName fault = "the name of a message has 1 to 255 bytes, no control characters, no slashes, and is not files"
	badOutputName  fault = "the name of an output has 1 to 255 bytes and no control characters"
	twoBodies      fault = "a message with both body and bodyFile"
	noValue        fault = "an output without a value"
	lineTooLong    fault = "a line of more than 1048576 bytes"
)

// parse reads a line.
func parse(text []byte) (event, error) {
	var e event
	text = bytes.TrimSpace(text)
	if len(text) == 0 || text[0] != '{' || json.Unmarshal(text, &e) != nil {
		return e, notJSON
	}
	return e, e.check()
}

func (e event) check() error {
	for _, n := range []*int64{e.Read, e.Written, e.Failed, e.Ignored, e.Done, e.Total} {
		if n != nil && *n < 0 {
			return negative
		}
	}
	switch e.Type {
	case "step":
		if strings.TrimSpace(e.Name) == "" {
			return noName
		}
		if e.Status != "started" && e.Status != "finished" && e.Status != "failed" {
			return noStatus
		}
	case "progress":
		if e.Done == nil {
			return noDone
		}
	case "error":
		if id := string(e.RecordID); len(id) > job.MaxRecordID || strings.ContainsFunc(id, unicode.IsControl) {
			return badRecordID
		}
	case "counters":
	case "message":
		return e.checkMessage()
	case "output":
		return e.checkOutput()
	default:
		return noType
	}
	return nil
}

// cut shortens a text to a number of bytes, between characters, without control characters but line breaks and tabs.
func cut(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= limit {
		return s
	}
	end := limit
	for end > limit-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

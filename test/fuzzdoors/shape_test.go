package fuzzdoors

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"unicode/utf8"
)

// kit is what the fuzzer must know of a door besides its document.
type kit struct {
	base string // under which all is the door's
	// sign puts a user's credentials on a request.
	sign func(w *world, r *http.Request, user string)
	// bad puts credentials on it that must not let anybody in.
	bad func(r *http.Request, token string)
	// shape tells what is wrong with an error of the door. r is nil where the request is not at hand.
	shape func(a *httptest.ResponseRecorder, r *http.Request) error
	// refused tells, of an answer, that the call changed nothing.
	refused func(a *httptest.ResponseRecorder) bool
}

var kits = map[string]kit{
	"native": {
		base:    "/api",
		sign:    func(w *world, r *http.Request, user string) { r.Header.Set("Authorization", "Bearer "+w.tokens[user]) },
		bad:     func(r *http.Request, token string) { r.Header["Authorization"] = []string{"Bearer " + token} },
		shape:   nativeShape,
		refused: func(a *httptest.ResponseRecorder) bool { return a.Code >= 400 },
	},
	"diem": {
		base:  "/etl-mgr/api",
		sign:  func(w *world, r *http.Request, user string) { r.Header.Set("x-api-key", w.keys[user]) },
		bad:   func(r *http.Request, token string) { r.Header["X-Api-Key"] = []string{token} },
		shape: diemShape,
		// 200 with an error is a refusal, too.
		refused: func(a *httptest.ResponseRecorder) bool {
			return a.Code >= 400 || strings.HasPrefix(a.Body.String(), `{"error":"document `)
		},
	},
	"informatica": {
		base:    "/saas/api/v2",
		sign:    func(w *world, r *http.Request, user string) { r.Header.Set("icSessionId", w.doors[user]) },
		bad:     func(r *http.Request, token string) { r.Header["Icsessionid"] = []string{token} },
		shape:   informaticaShape,
		refused: func(a *httptest.ResponseRecorder) bool { return a.Code >= 400 },
	},
}

// diemShape is diem.md, 1: a text, or an object with message or error.
func diemShape(a *httptest.ResponseRecorder, _ *http.Request) error {
	if a.Header().Get("X-Request-Id") == "" || a.Header().Get("X-Correlation-Id") == "" {
		return errors.New("a header is missing")
	}
	if strings.HasPrefix(a.Header().Get("Content-Type"), "text/plain") {
		if a.Body.Len() == 0 {
			return errors.New("an empty text")
		}
		return nil
	}
	var f struct {
		Message, Error string
		Status         int
	}
	if err := json.Unmarshal(a.Body.Bytes(), &f); err != nil {
		return err
	}
	if (f.Message == "") == (f.Error == "") || f.Status != 0 && f.Status != a.Code {
		return errors.New("a member is missing or wrong")
	}
	return nil
}

// informaticaShape is informatica.md, 3.1.
func informaticaShape(a *httptest.ResponseRecorder, _ *http.Request) error {
	if strings.HasPrefix(a.Header().Get("Content-Type"), "application/xml") {
		var f struct {
			XMLName     xml.Name
			Code        string `xml:"code"`
			Description string `xml:"description"`
			StatusCode  int    `xml:"statusCode"`
		}
		if err := xml.Unmarshal(a.Body.Bytes(), &f); err != nil {
			return err
		}
		if f.XMLName.Local != "error" || f.Code == "" || f.Description == "" || f.StatusCode != a.Code && f.Code != "UI_10000" {
			return errors.New("a member is missing or wrong")
		}
		return wellFormed(a.Body.String())
	}
	var f struct {
		Type        string `json:"@type"`
		Code        string `json:"code"`
		Description string `json:"description"`
		StatusCode  int    `json:"statusCode"`
		Error       *struct {
			Code, Message, RequestID string
		} `json:"error"`
	}
	if err := json.Unmarshal(a.Body.Bytes(), &f); err != nil {
		return err
	}
	v2 := f.Type == "error" && f.Code != "" && f.Description != "" && (f.StatusCode == a.Code || f.Code == "UI_10000")
	v3 := f.Error != nil && f.Error.Code != "" && f.Error.Message != "" && f.Error.RequestID != ""
	if !v2 && !v3 {
		return errors.New("a member is missing or wrong")
	}
	return nil
}

// nativeShape is native.md, 1.5.
func nativeShape(a *httptest.ResponseRecorder, r *http.Request) error {
	var f struct {
		Timestamp, Error, Message, Path, Code string
		Status                                int
	}
	if err := json.Unmarshal(a.Body.Bytes(), &f); err != nil {
		return err
	}
	switch {
	case f.Status != a.Code || f.Error != http.StatusText(a.Code):
		return errors.New("status and reason are not the reply's")
	case f.Timestamp == "" || f.Message == "" || f.Code == "":
		return errors.New("a member is missing")
	case r != nil && f.Path != r.URL.Path && utf8.ValidString(r.URL.Path): // else it is shown as text
		return fmt.Errorf("the path is %q", f.Path)
	case a.Code == 401 && a.Header().Get("WWW-Authenticate") != "Bearer":
		return errors.New("401 without WWW-Authenticate")
	}
	return nil
}

// secrets must not be in any answer: what only a stack, an SQL text or a file of the machine holds.
var secrets = []string{"goroutine ", "runtime error", "panic", "root:x:0", "SELECT ", "sqlite", "SQL logic", "constraint failed", "no such column", ".go:", password}

// wellFormed tells whether an XML text is.
func wellFormed(text string) error {
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

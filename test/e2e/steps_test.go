package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A scenario is a folder with a file steps.http:
//
//	### What the step shows
//	POST /api/jobconfigs/${config}/jobs
//	Content-Type: application/json
//
//	{"tags":["nightly"]}
//	--> 202
//	Location: $re:.*/api/jobs/[0-9a-f]{24}
//
//	{"id":"$ID -> job","status":"QUEUED"}
//
// Lines that begin with "# " above the request are comments. Without a header Authorization the call carries the admin's
// token; "Authorization: none" sends none. "--> 200 within 30s" repeats a call until its reply fits.
//
// A request body is text, or "@" and a source (see source), or "@form" and a line "name=value" or "name=@source" for
// each part. A wanted body is JSON (see match), or lines of /regular expressions/ that it must fit, "!" in front of one
// it must not. ${name} is a variable: what " -> name" kept, or one of those runScenario sets.
type step struct {
	title   string
	method  string
	path    string
	headers []header
	body    string
	status  int
	within  time.Duration
	replies []header
	want    string
}

type header struct{ name, value string }

func readSteps(folder string) ([]step, error) {
	text, err := os.ReadFile(filepath.Join(folder, "steps.http"))
	if err != nil {
		return nil, err
	}
	var steps []step
	for i, part := range strings.Split("\n"+string(text), "\n### ") {
		if i == 0 { // what the scenario is about
			continue
		}
		s, err := readStep(part)
		if err != nil {
			return nil, fmt.Errorf("step %d, %q: %w", i, s.title, err)
		}
		steps = append(steps, s)
	}
	if len(steps) == 0 {
		return nil, errors.New("there are no steps")
	}
	return steps, nil
}

func readStep(text string) (s step, err error) {
	s.title, text, _ = strings.Cut(text, "\n")
	for strings.HasPrefix(text, "# ") {
		_, text, _ = strings.Cut(text, "\n")
	}
	request, answer, found := strings.Cut(text, "\n--> ")
	if !found {
		return s, errors.New("no line begins with -->")
	}
	line, request, _ := strings.Cut(request, "\n")
	if s.method, s.path, found = strings.Cut(line, " "); !found {
		return s, fmt.Errorf("%q is not METHOD /path", line)
	}
	if s.headers, s.body, err = readHeaders(request); err != nil {
		return s, err
	}
	line, answer, _ = strings.Cut(answer, "\n")
	status, limit, patient := strings.Cut(line, " within ")
	if s.status, err = strconv.Atoi(status); err != nil {
		return s, err
	}
	if patient {
		if s.within, err = time.ParseDuration(limit); err != nil {
			return s, err
		}
	}
	s.replies, s.want, err = readHeaders(answer)
	return s, err
}

// readHeaders reads header lines up to an empty line; the rest is the body.
func readHeaders(text string) (all []header, body string, err error) {
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		if line == "" {
			break
		}
		name, value, found := strings.Cut(line, ": ")
		if !found {
			return nil, "", fmt.Errorf("%q is not a header", line)
		}
		all = append(all, header{name, value})
	}
	return all, strings.TrimSpace(text), nil
}

var variable = regexp.MustCompile(`\$\{([a-zA-Z0-9_]+)\}`)

// fill puts the variables in.
func (v vars) fill(text string) (string, error) {
	var missing error
	filled := variable.ReplaceAllStringFunc(text, func(ref string) string {
		value, known := v[ref[2:len(ref)-1]]
		if !known {
			missing = fmt.Errorf("there is no variable %s", ref)
		}
		return value
	})
	return filled, missing
}

// run makes the step's call, again and again if it says so, and compares the reply.
func (s step) run(ctx context.Context, c *client, folder string, v vars) error {
	limit := s.within
	err := within(ctx, 3*time.Minute, func() error {
		err := s.once(ctx, c, folder, v)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errTooMany): // all tests share one address, whose logins are limited
			return err
		case limit > 0:
			limit = 0
			return final(within(ctx, s.within, func() error { return s.once(ctx, c, folder, v) }))
		}
		return final(err)
	})
	return err
}

// errTooMany is a 429 that a step did not ask for.
var errTooMany = errors.New("too many calls")

func (s step) once(ctx context.Context, c *client, folder string, v vars) error {
	path, err := v.fill(s.path)
	if err != nil {
		return final(err)
	}
	body, label, err := s.content(folder, v)
	if err != nil {
		return final(err)
	}
	var headers []string
	if label != "" {
		headers = append(headers, "Content-Type", label)
	}
	caller := *c
	for _, h := range s.headers {
		value, err := v.fill(h.value)
		if err != nil {
			return final(err)
		}
		if h.name == "Authorization" {
			caller.token = ""
			if value == "none" {
				continue
			}
		}
		headers = append(headers, h.name, value)
	}
	r, err := caller.send(ctx, s.method, path, body, headers...)
	if err != nil {
		return err
	}
	if err := s.compare(r, v); err != nil {
		return fmt.Errorf("%s: %w\nit answers %d %s", r.call, err, r.status, tail(string(r.body), 30))
	}
	return nil
}

// content makes the request's body, and the label of a form.
func (s step) content(folder string, v vars) (body []byte, label string, err error) {
	text, err := v.fill(s.body)
	if err != nil {
		return nil, "", err
	}
	parts, isForm := strings.CutPrefix(text, "@form\n")
	if !isForm {
		if strings.HasPrefix(text, "@") {
			body, err = source(folder, text)
			return body, "", err
		}
		return []byte(text), "", nil
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	for line := range strings.SplitSeq(parts, "\n") {
		name, value, found := strings.Cut(line, "=")
		if !found {
			return nil, "", fmt.Errorf("%q is not name=value", line)
		}
		if !strings.HasPrefix(value, "@") {
			err = w.WriteField(name, value)
		} else if content, e := source(folder, value); e != nil {
			err = e
		} else if part, e := w.CreateFormFile(name, path.Base(value[strings.Index(value, " ")+1:])); e != nil {
			err = e
		} else {
			_, err = part.Write(content)
		}
		if err != nil {
			return nil, "", err
		}
	}
	err = w.Close()
	return form.Bytes(), w.FormDataContentType(), err
}

// source is the content that "@file NAME", "@zip FOLDER" (its files, packed) or "@archive KIND" (see archives) names.
// Paths are relative to the scenario's folder.
func source(folder, text string) ([]byte, error) {
	kind, name, _ := strings.Cut(text, " ")
	switch kind {
	case "@file":
		return os.ReadFile(filepath.Join(folder, name))
	case "@zip":
		return zipFolder(filepath.Join(folder, name))
	case "@archive":
		if build, known := archives[name]; known {
			return build()
		}
	}
	return nil, fmt.Errorf("%q is no source", text)
}

func (s step) compare(r *reply, v vars) error {
	if r.status == http.StatusTooManyRequests && s.status != r.status {
		return errTooMany
	}
	if r.status != s.status {
		return fmt.Errorf("the status is %d, want %d", r.status, s.status)
	}
	for _, h := range s.replies {
		want, err := v.fill(h.value)
		if err != nil {
			return final(err)
		}
		var got any
		if values := r.header.Values(h.name); len(values) > 0 {
			got = strings.Join(values, ", ")
		} else if want == "$ABSENT" {
			continue
		}
		if want == "$ABSENT" {
			return fmt.Errorf("header %s is %v, want it absent", h.name, got)
		}
		if err := match("header "+h.name, want, got, v); err != nil {
			return err
		}
	}
	want, err := v.fill(s.want)
	if err != nil || want == "" {
		return err
	}
	if strings.HasPrefix(want, "/") || strings.HasPrefix(want, "!/") {
		return comparePatterns(want, string(r.body))
	}
	w, err := parse(want)
	if err != nil {
		return final(fmt.Errorf("the wanted body is no JSON: %w", err))
	}
	got, err := parse(string(r.body))
	if err != nil {
		return fmt.Errorf("the body is no JSON: %w", err)
	}
	if label := r.header.Get("Content-Type"); !strings.HasPrefix(label, "application/json") {
		return fmt.Errorf("JSON is labelled %q", label)
	}
	return match("body", w, got, v)
}

func comparePatterns(patterns, body string) error {
	for line := range strings.SplitSeq(patterns, "\n") {
		pattern, unwanted := strings.CutPrefix(line, "!")
		if len(pattern) < 2 || pattern[0] != '/' || pattern[len(pattern)-1] != '/' {
			return final(fmt.Errorf("%q is not a /pattern/", line))
		}
		re, err := regexp.Compile(pattern[1 : len(pattern)-1])
		if err != nil {
			return final(err)
		}
		if re.MatchString(body) == unwanted {
			return fmt.Errorf("the body and %s do not go together", line)
		}
	}
	return nil
}

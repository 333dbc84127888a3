package native

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"waybill/api"
	"waybill/internal/job"
)

// wordsOf reads the Word constants of a package's source, so that a new one can not be forgotten in the table.
func wordsOf(t *testing.T, folder string) []job.Word {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var words []job.Word
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Names) != 1 || len(spec.Values) != 1 || !strings.HasPrefix(strings.ToLower(spec.Names[0].Name), "word") {
				return true
			}
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				word, _ := strconv.Unquote(lit.Value)
				words = append(words, job.Word(word))
			}
			return true
		})
	}
	return words
}

func TestEveryWordHasAStatus(t *testing.T) {
	t.Parallel()
	inBulkRepliesOnly := map[job.Word]bool{"job_running": true}
	count := 0
	for _, folder := range []string{"../../internal/job", "../../internal/control", "..", "."} {
		for _, word := range wordsOf(t, filepath.FromSlash(folder)) {
			count++
			if _, ok := byWord[word]; !ok && !inBulkRepliesOnly[word] {
				t.Errorf("%s in %s has no status", word, folder)
			}
		}
	}
	if count < 40 {
		t.Errorf("found only %d words: the search is broken", count)
	}
}

// The table of native.md, 1.5.
func TestStatusOfCodes(t *testing.T) {
	t.Parallel()
	want := map[int]string{
		400: "malformed_json missing_field invalid_field unknown_property invalid_cursor invalid_time_zone invalid_key invalid_package " +
			"package_missing digest_mismatch unknown_record",
		401: "bad_credentials user_inactive locked_out token_missing token_invalid token_expired refresh_invalid refresh_reused",
		403: "access_denied",
		404: "not_found log_not_found route_not_found not_supported",
		405: "method_not_allowed",
		409: "duplicate_name inactive_config job_finished job_not_finished nothing_to_retry retry_active idempotency_conflict",
		413: "too_large", 415: "unsupported_media_type", 416: "invalid_range", 429: "rate_limited", 500: "internal_error", 503: "dependency_down",
	}
	for status, codes := range want {
		for _, code := range strings.Fields(codes) {
			if got := byWord[job.Word(code)]; got != (shown{status, code}) {
				t.Errorf("%s is shown as %v", code, got)
			}
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	locked := job.Errorf(job.Unauthenticated, job.WordLockedOut, "Locked")
	locked.RetryAfter = 90*time.Second + time.Millisecond
	secret := errors.New("password=hunter2 SELECT")
	for name, c := range map[string]struct {
		err     error
		status  int
		code    string
		message string
		retry   string
		blamed  bool
	}{
		"unknown errors are internal and hidden":     {secret, 500, "internal_error", "Internal error; the log has it under request r1", "", true},
		"internal errors hide their message":         {job.Errorf(job.Internal, job.WordInternal, "hunter2"), 500, "internal_error", "Internal error; the log has it under request r1", "", true},
		"an internal error's word is not believed":   {job.Errorf(job.Internal, job.WordNotFound, "x"), 500, "internal_error", "Internal error; the log has it under request r1", "", true},
		"the cause of a known error is hidden":       {job.Wrap(secret, job.Invalid, job.WordInvalidField, "name is odd"), 400, "invalid_field", "name is odd", "", false},
		"a wrapped error of ours is found":           {errors.Join(job.Errorf(job.NotFound, job.WordNotFound, "No")), 404, "not_found", "No", "", false},
		"no word: the class decides":                 {job.Errorf(job.Forbidden, "", "No"), 403, "access_denied", "No", "", false},
		"an unknown word: the class decides":         {job.Errorf(job.Conflict, "odd", "No"), 409, "duplicate_name", "No", "", false},
		"an unknown class is internal":               {job.Errorf("odd", "odd", "No"), 500, "internal_error", "Internal error; the log has it under request r1", "", true},
		"unavailable comes with Retry-After":         {job.Errorf(job.Unavailable, job.WordDependencyDown, "Down"), 503, "dependency_down", "Down", "1", true},
		"unavailable is never shown as a 4xx":        {job.Errorf(job.Unavailable, job.WordInvalidField, "Down"), 503, "dependency_down", "Down", "1", true},
		"a locked out caller is told in seconds":     {locked, 401, "locked_out", "Locked", "91", false},
		"a write that kept losing may be repeated":   {job.Errorf(job.Conflict, job.WordStale, "Busy"), 503, "dependency_down", "Busy", "1", true},
		"a call the server broke off may be as well": {job.Wrap(secret, job.Canceled, "", "Broken off"), 503, "dependency_down", "Broken off", "1", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &api.Request{ID: "r1", Path: "/api/x", Time: time.Date(2026, 3, 17, 9, 40, 58, 0, time.UTC)}
			f := faultOf(r, style{}, c.err).(*fault)
			if f.Status != c.status || f.Code != c.code || f.Message != c.message || f.headers.Get("Retry-After") != c.retry {
				t.Errorf("got %+v", f)
			}
			if f.Reason != http.StatusText(c.status) || f.Path != "/api/x" || f.Timestamp != "Mar 17, 2026 9:40:58 AM" {
				t.Errorf("shape %+v", f)
			}
			if (f.headers.Get("WWW-Authenticate") == "Bearer") != (c.status == 401) {
				t.Errorf("headers %v", f.headers)
			}
			if (r.Fault() != nil) != c.blamed {
				t.Errorf("blamed %v", r.Fault())
			}
		})
	}
}

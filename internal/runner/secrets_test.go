package runner

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"waybill/internal/job"
)

const secretValue = "korrekt/Pferd?Batterie"

func secure(key string) []job.Macro {
	return []job.Macro{{Key: key, Sealed: "sealed:" + secretValue, Secure: true}}
}

// A value whose parts come through both streams, and its encodings, are masked.
func TestSecretsAreMaskedOverBothStreamsAndEncoded(t *testing.T) {
	need(t, "base64")
	r := newRunner(t, nil)
	a := mustPrepare(t, r, lease(t, r, "run.sh", []byte(`
half=$(printf %s "$PW" | cut -c1-9)
printf %s "$half"; printf %s "${PW#$half}" >&2; echo
printf 'x:%s' "$PW" | base64; printf %s "$PW" | base64
printf %s "$PW" | od -An -v -tx1 | tr -d ' \n'; echo
set -x
: login "$PW"
`)), job.Spec{Macros: secure("PW")})
	if _, err := a.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := a.log.text()
	coded := base64.StdEncoding.EncodeToString([]byte(secretValue))
	for _, shown := range []string{secretValue, coded[4:20], hex.EncodeToString([]byte(secretValue))} {
		if strings.Contains(text, shown) {
			t.Errorf("the log shows %s:\n%s", shown, text)
		}
	}
	if strings.Count(text, "***") != 5 {
		t.Errorf("five secrets should be masked:\n%s", text)
	}
}

func TestTheTokenOfTheSessionIsPassedAndMasked(t *testing.T) {
	r := newRunner(t, nil)
	log := &syncBuffer{}
	e, err := r.Prepare(Request{
		Job: job.Job{ID: jobID, ConfigID: 44, Attempt: 1, Spec: job.Spec{Macros: []job.Macro{{Key: "CALL", Value: "token=$(SESSION_ID)"}}}},
		Log: log, Grace: time.Second, Session: "eyJhbGciOiJI.UzI1NiJ9", URL: "http://waybill.example:8080",
		Package: lease(t, r, "run.sh", []byte(`echo "$WAYBILL_URL ${#SESSION_ID} $SESSION_ID $CALL"`)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := log.text(), "http://waybill.example:8080 21 *** token=***\n"; got != want {
		t.Errorf("log %q, want %q", got, want)
	}
	if got := e.Mask("failed with eyJhbGciOiJI.UzI1NiJ9"); got != "failed with ***" {
		t.Errorf("a text: %q", got)
	}
}

func TestSecretsInNamesOfOutputsAreMasked(t *testing.T) {
	r := newRunner(t, nil)
	a := mustPrepare(t, r, lease(t, r, "run.sh", []byte(`
cd "$LOCAL_JOB_OUT_DIR"; mkdir -p "$(dirname "a-$PW")" "$(dirname "b/$PW")"
echo 1 >"a-$PW"; echo 2 >"b/$PW"; echo 3 >'b/***'; ln -s / "link-${PW%%/*}-$(printf %s "$PW" | tr -d /)"
`)), job.Spec{Macros: secure("PW")})
	if _, err := a.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	stored := map[string]string{}
	outputs, err := a.Outputs(t.Context(), func(_ context.Context, name string, r io.Reader, _ int64) error {
		text, err := io.ReadAll(r)
		stored[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range outputs {
		names = append(names, o.Name)
	}
	if want := []string{"a-***", "b/***", "b/***-2"}; !slices.Equal(names, want) || stored["a-***"] != "1\n" || stored["b/***-2"] != "2\n" || stored["b/***"] != "3\n" {
		t.Errorf("names %q, stored %q", names, stored)
	}
}

// What Waybill itself says of a package does not quote a secret either.
func TestSecretsInFaultsAreMasked(t *testing.T) {
	r := newRunner(t, nil)
	a := mustPrepare(t, r, lease(t, r, "run.sh", []byte(`touch "$LOCAL_JOB_OUT_DIR/$(printf '%s\t' "${PW##*/}")"`)),
		job.Spec{Macros: []job.Macro{{Key: "PW", Sealed: "sealed:Pferd?Batterie", Secure: true}}})
	if _, err := a.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := a.Outputs(t.Context(), func(context.Context, string, io.Reader, int64) error { return nil })
	if job.CodeOf(err) != job.Invalid || strings.Contains(err.Error(), "Pferd?Batterie") || !strings.Contains(err.Error(), "***") {
		t.Errorf("got %v", err)
	}
}

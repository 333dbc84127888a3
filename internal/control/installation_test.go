package control_test

import (
	"context"
	"strings"
	"testing"

	"waybill/internal/control"
	"waybill/internal/job"
)

// marks is the smallest control.Marks.
type marks map[string]string

func (m marks) KeepMark(_ context.Context, name, mark string) (string, error) {
	if m[name] == "" {
		m[name] = mark
	}
	return m[name], nil
}

func (m marks) Mark(_ context.Context, name string) (string, error) { return m[name], nil }

func TestOnlyTheFirstKeyIsTheInstallations(t *testing.T) {
	t.Parallel()
	m := marks{}
	for _, fingerprint := range []string{"one", "one"} {
		if err := control.CheckMasterKey(t.Context(), m, fingerprint); err != nil {
			t.Error(err)
		}
	}
	err := control.CheckMasterKey(t.Context(), m, "two")
	if job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), "another master key") || strings.Contains(err.Error(), "one") {
		t.Errorf("another key: %v", err)
	}
	if err := control.CheckMasterKey(t.Context(), m, "one"); err != nil {
		t.Errorf("the first one afterwards: %v", err)
	}
}

package control_test

import (
	"testing"

	"waybill/internal/control"
)

func TestCellsAreNoFormulasAndNumbersStay(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "ann": "ann", "-12.5": "-12.5", "+3": "+3", "1e3": "1e3",
		"=1+2": "'=1+2", "+1+2": "'+1+2", "-ann": "'-ann", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "\r=1": "'\r=1",
	} {
		if got := control.PlainCell(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

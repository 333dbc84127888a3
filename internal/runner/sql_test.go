package runner

import (
	"strings"
	"testing"

	"waybill/internal/job"
)

func TestSQLScriptRuns(t *testing.T) {
	r := newRunner(t, nil)
	l := lease(t, r, "p.zip", pack(t, "P/load.sql", "CREATE TABLE t (n INTEGER);\nINSERT INTO t VALUES (:N);\nSELECT n + 1 AS more FROM t;\n", "P/bad.sql", "SELECT 1;\nSELECT none;"))
	macros := []job.Macro{{Key: "N", Value: "41"}, {Key: "DATABASE_URL", Value: "sqlite:$(LOCAL_JOB_OUT_DIR)/out.db"}}
	a := mustPrepare(t, r, l, job.Spec{EntryPoint: "load.sql", Macros: macros})
	result, err := a.Run(t.Context())
	if err != nil || result.ExitCode != 0 || !strings.Contains(a.log.text(), "   more\n   42\n   1 row, ") {
		t.Errorf("%+v %v, log:\n%s", result, err, a.log.text())
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = mustPrepare(t, r, l, job.Spec{EntryPoint: "bad.sql", Macros: macros})
	if result, err = a.Run(t.Context()); err != nil || result.ExitCode != 1 || !strings.Contains(a.log.text(), "waybill: SQL: statement 2 of 2, line 2: ") {
		t.Errorf("%+v %v, log:\n%s", result, err, a.log.text())
	}
}

package settings

import "testing"

func TestOutLimits(t *testing.T) {
	s, err := load(t)
	if want := (OutLimits{Files: 1000, Bytes: 1 << 30}); err != nil || s.Outputs != want {
		t.Errorf("%+v, %v", s.Outputs, err)
	}
	s, err = load(t, "--job-out-files", "7", "--job-out-bytes", "100", "--job-out-file-bytes", "10")
	if want := (OutLimits{Files: 7, Bytes: 100, FileBytes: 10}); err != nil || s.Outputs != want {
		t.Errorf("%+v, %v", s.Outputs, err)
	}
	for _, args := range [][]string{{"--job-out-files", "0"}, {"--job-out-files", "10001"}, {"--job-out-bytes", "0"}, {"--job-out-file-bytes", "-1"}} {
		if _, err := load(t, args...); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}

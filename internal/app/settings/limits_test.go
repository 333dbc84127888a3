package settings

import "testing"

func TestLimits(t *testing.T) {
	s, err := load(t)
	if want := (Limits{Bucket: 100, DIEM: 100, Informatica: 600, Logins: 20}); err != nil || s.Limits != want {
		t.Errorf("%+v, %v", s.Limits, err)
	}
	s, err = load(t, "--rate-limit", "30", "--rate-bucket", "7", "--diem-rate-limit", "0", "--informatica-rate-limit", "1", "--login-rate-limit", "5")
	if want := (Limits{Rate: 30, Bucket: 7, Informatica: 1, Logins: 5}); err != nil || s.Limits != want {
		t.Errorf("%+v, %v", s.Limits, err)
	}
	for _, args := range [][]string{{"--rate-limit", "-1"}, {"--rate-bucket", "0"}, {"--diem-rate-limit", "x"}, {"--login-rate-limit", "1000001"}} {
		if _, err := load(t, args...); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}

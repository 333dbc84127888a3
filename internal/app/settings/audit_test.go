package settings

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAudit(t *testing.T) {
	s, err := load(t)
	if err != nil || s.Audit.Retention != 400*24*time.Hour || s.Audit.TrustedProxies != nil {
		t.Errorf("defaults %+v %v", s.Audit, err)
	}
	s, err = load(t, "--audit-retention", "720h", "--trusted-proxies", "10.1.2.3/8, 192.0.2.7,2001:db8::/32,::ffff:192.0.2.8")
	if want := "[10.0.0.0/8 192.0.2.7/32 2001:db8::/32 192.0.2.8/32]"; err != nil || s.Audit.Retention != 720*time.Hour || fmt.Sprint(s.Audit.TrustedProxies) != want {
		t.Errorf("%+v %v", s.Audit, err)
	}
	for flag, values := range map[string][]string{"--audit-retention": {"0s", "1h", "x"}, "--trusted-proxies": {"proxy", "10.0.0.0/33", "fe80::1%eth0"}} {
		for _, v := range values {
			if _, err := load(t, flag, v); err == nil || !strings.Contains(err.Error(), flag) {
				t.Errorf("%s %s: %v", flag, v, err)
			}
		}
	}
}

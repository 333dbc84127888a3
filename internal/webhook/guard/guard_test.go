package guard_test

import (
	"net/netip"
	"strings"
	"testing"

	"waybill/internal/job"
	"waybill/internal/webhook/guard"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	for address, public := range map[string]bool{
		"93.184.216.34": true, "1.1.1.1": true, "2606:4700:4700::1111": true, "::ffff:1.1.1.1": true,
		"127.0.0.1": false, "127.255.0.1": false, "::1": false, "0.0.0.0": false, "::": false, "0.1.2.3": false,
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "172.32.0.1": true, "192.168.1.1": false,
		"169.254.169.254": false, "100.100.100.200": false, "fd00:ec2::254": false, "fe80::1": false, "fe80::1%eth0": false,
		"224.0.0.1": false, "255.255.255.255": false, "240.0.0.1": false, "198.18.0.1": false, "192.0.2.1": false,
		"::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false,
		"2002:7f00:1::": false, "2001:0:7f00:1::": false, "ff02::1": false, "2001:db8::1": false, "fc00::1": false,
	} {
		if got := guard.Public(netip.MustParseAddr(address)); got != public {
			t.Errorf("%s is public: %v", address, got)
		}
	}
	if guard.Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	private := map[string]bool{ // refused unless private addresses are allowed
		"http://localhost/x": true, "http://LOCALHOST.:80": true, "http://a.localhost": true, "http://127.0.0.1:8080/": true,
		"http://[::1]/": true, "http://[::ffff:10.0.0.1]/": true, "http://169.254.169.254/latest": true, "http://2130706433/": true,
		"http://127.1/": true, "http://0x7f.0.0.0x1/": true, "http://017700000001/": true, "http://10.0.0.1.": true,
		"https://example.com": false, "http://example.com:8080/a?b=c": false, "https://1.1.1.1/": false,
		"https://[2606:4700:4700::1111]:8443/x": false, "https://123.example": false,
	}
	for url, refused := range private {
		if err := (guard.Guard{}).CheckURL(url); (err != nil) != refused {
			t.Errorf("%s: %v", url, err)
		}
		if err := (guard.Guard{AllowPrivate: true}).CheckURL(url); err != nil {
			t.Errorf("%s, private addresses allowed: %v", url, err)
		}
	}
	for _, url := range []string{
		"", "example.com", "/path", "ftp://example.com", "http://", "http://:80", "https://user@example.com", "https://u:p@example.com",
		"https://example.com/#x", "https://example.com:99999", "https://example.com:", "https://exa mple.com", "https://example.com/\n",
		"https://exämple.com", "javascript:alert(1)", "http:example.com", "https://example.com/" + strings.Repeat("x", 2000),
	} {
		for _, g := range []guard.Guard{{}, {AllowPrivate: true}} {
			if err := g.CheckURL(url); job.CodeOf(err) != job.Invalid {
				t.Errorf("%q: %v", url, err)
			}
		}
	}
}

func TestControlSeesTheAddressThatIsConnectedTo(t *testing.T) {
	t.Parallel()
	for address, ok := range map[string]bool{"1.1.1.1:443": true, "127.0.0.1:80": false, "[::1]:80": false, "[fe80::1%eth0]:80": false, "junk": false} {
		if err := (guard.Guard{}).Control(t.Context(), "tcp4", address, nil); (err == nil) != ok || guard.Refused(err) == ok {
			t.Errorf("%s: %v", address, err)
		}
		if err := (guard.Guard{AllowPrivate: true}).Control(t.Context(), "tcp4", address, nil); err != nil {
			t.Errorf("%s, private addresses allowed: %v", address, err)
		}
	}
	if err := (guard.Guard{}).Control(t.Context(), "udp", "1.1.1.1:53", nil); err == nil {
		t.Error("udp was let through")
	}
}

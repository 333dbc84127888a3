package settings

import (
	"net/netip"
	"strings"
	"time"
)

// Audit is how the audit log is kept, and who is believed about the addresses in it.
type Audit struct {
	Retention      time.Duration
	TrustedProxies []netip.Prefix
}

var auditSettings = []setting{
	{name: "audit-retention", value: "9600h", help: "time for which the audit log is kept"},
	{name: "trusted-proxies", only: servers, help: "addresses or networks of proxies whose X-Forwarded-For tells a client's address, such as 10.0.0.0/8,192.0.2.7 (default: none)"},
}

func (p *parser) audit() Audit {
	return Audit{Retention: p.duration("audit-retention", 24*time.Hour, 100*366*24*time.Hour), TrustedProxies: p.networks("trusted-proxies")}
}

// networks reads a list of networks; an address is one of its own.
func (p *parser) networks(name string) (list []netip.Prefix) {
	for one := range strings.SplitSeq(p.k.String(name), ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		if a, err := netip.ParseAddr(one); err == nil && a.Zone() == "" {
			a = a.Unmap()
			list = append(list, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		n, err := netip.ParsePrefix(one)
		if err != nil || n.Addr().Is4In6() {
			p.fault(name, "is a list of addresses and networks such as 10.0.0.0/8, not %q", one)
			continue
		}
		list = append(list, n.Masked())
	}
	return list
}

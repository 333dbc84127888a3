package settings

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/knadh/koanf/v2"
)

// parser turns texts into values and keeps the faults it finds.
type parser struct {
	k      *koanf.Koanf
	faults []error
}

func (p *parser) fault(name, format string, args ...any) {
	p.faults = append(p.faults, fmt.Errorf("%s "+format, append([]any{Name(name)}, args...)...))
}

func (p *parser) text(name string) string {
	v := p.k.String(name)
	if v == "" {
		p.fault(name, "must not be empty")
	}
	return v
}

func (p *parser) word(name string, allowed ...string) string {
	v := p.k.String(name)
	for _, a := range allowed {
		if v == a {
			return v
		}
	}
	p.fault(name, "is one of %s, not %q", strings.Join(allowed, ", "), v)
	return v
}

func (p *parser) truth(name string) bool { return p.word(name, "true", "false") == "true" }

// path makes a path absolute; "" stays.
func (p *parser) path(name string) string {
	v := p.k.String(name)
	if v == "" {
		return ""
	}
	abs, err := filepath.Abs(v)
	if err != nil {
		p.fault(name, "is not a path: %v", err)
	}
	return abs
}

// Limits of labels: they are shown, not searched.
const (
	maxLabels    = 20
	maxLabelSize = 63 // bytes of a key, and of a value
)

// labels reads a=b,c=d.
func (p *parser) labels(name string) map[string]string {
	v := p.k.String(name)
	if strings.TrimSpace(v) == "" {
		return nil
	}
	labels := map[string]string{}
	for one := range strings.SplitSeq(v, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(one), "=")
		if !ok || !plainLabel(key) || key == "" || !plainLabel(value) {
			p.fault(name, "is a list such as zone=a,disk=ssd of letters, digits, '-', '_', '.' and '/', not %q", one)
			return nil
		}
		if _, twice := labels[key]; twice {
			p.fault(name, "names %q twice", key)
		}
		labels[key] = value
	}
	if len(labels) > maxLabels {
		p.fault(name, "has more than %d labels", maxLabels)
	}
	return labels
}

func plainLabel(s string) bool {
	return len(s) <= maxLabelSize && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_./", r)
	})
}

func (p *parser) number(name string, low, high int64) int64 {
	v, err := strconv.ParseInt(p.k.String(name), 10, 64)
	if err != nil || v < low || v > high {
		p.fault(name, "is a whole number between %d and %d, not %q", low, high, p.k.String(name))
	}
	return v
}

func (p *parser) duration(name string, low, high time.Duration) time.Duration {
	v, err := time.ParseDuration(p.k.String(name))
	if err != nil || v < low || v > high {
		p.fault(name, "is a duration between %s and %s such as 30s, not %q", low, high, p.k.String(name))
	}
	return v
}

func (p *parser) address(name string) string {
	v := p.k.String(name)
	host, port, err := net.SplitHostPort(v)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil || port == "" || host == "" {
		p.fault(name, "is an address such as 127.0.0.1:8080, not %q", v)
	}
	return v
}

func (p *parser) optionalAddress(name string) string {
	if p.k.String(name) == "" {
		return ""
	}
	return p.address(name)
}

func (p *parser) key(name string) string {
	v := p.k.String(name)
	for one := range strings.SplitSeq(v, ",") {
		if b, err := hex.DecodeString(strings.TrimSpace(one)); v != "" && (err != nil || len(b) != 32) {
			p.fault(name, "has 64 hex digits; of several, the newest comes first, with a comma between two")
			break
		}
	}
	return v
}

// loopback takes addresses of this machine only: the embedded Temporal speaks no TLS.
func (p *parser) loopback(name string) string {
	before := len(p.faults)
	v := p.address(name)
	if len(p.faults) > before {
		return v
	}
	host, _, _ := net.SplitHostPort(v)
	if ip := net.ParseIP(host); ip != nil && !ip.IsLoopback() || ip == nil && host != "localhost" {
		p.fault(name, "must be a loopback address, not %q: the embedded Temporal speaks no TLS", v)
	}
	return v
}

func (p *parser) url(name string) string {
	v := strings.TrimRight(p.k.String(name), "/")
	if v == "" {
		return ""
	}
	u, err := url.Parse(v)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		p.fault(name, "is a URL such as https://waybill.example.com, not %q", v)
	}
	return v
}

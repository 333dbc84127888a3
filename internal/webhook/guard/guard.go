package guard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	"waybill/internal/job"
)

// MaxURL is the length of a URL in bytes: an index holds it.
const MaxURL = 2000

// Guard says which addresses users may have Waybill call.
type Guard struct {
	// AllowPrivate takes every restriction of addresses off (setting callbacks-allow-private).
	AllowPrivate bool
}

// CheckURL refuses what can not be called, or must not be. A name is judged when it is resolved, at the call.
func (g Guard) CheckURL(text string) error {
	refuse := func(format string, args ...any) error {
		return job.Errorf(job.Invalid, job.WordInvalidField, format, args...)
	}
	if text == "" {
		return job.Errorf(job.Invalid, job.WordMissingField, "url is required")
	}
	if len(text) > MaxURL || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return refuse("url has at most %d printable ASCII characters and no blanks", MaxURL)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "":
		return refuse("url is an address such as https://example.com/hook")
	case u.Scheme != "http" && u.Scheme != "https":
		return refuse("url begins with https:// or http://")
	case u.User != nil:
		return refuse("url must not hold a user or password")
	case u.Fragment != "":
		return refuse("url must not have a fragment")
	}
	if _, err := net.LookupPort("tcp", u.Port()); u.Port() != "" && err != nil || strings.HasSuffix(u.Host, ":") {
		return refuse("url has no valid port")
	}
	if g.AllowPrivate {
		return nil
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return refuse("url names this machine, which callbacks may not reach")
	}
	if numeric(host) { // also in the forms that only some resolvers understand: 127.1, 0x7f.0.0.1, 2130706433
		address, err := netip.ParseAddr(host)
		if err != nil || !Public(address) {
			return refuse("url names an address that callbacks may not reach")
		}
	}
	return nil
}

// numeric tells whether a host is an address rather than a name. The last label of a name is never a number (RFC 3696).
func numeric(host string) bool {
	if strings.Contains(host, ":") {
		return true
	}
	last := host[strings.LastIndex(host, ".")+1:]
	return last != "" && (strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x"))
}

// errRefused is the cause of a refused connection.
var errRefused = errors.New("callbacks may not reach this address")

// Refused tells whether err comes of a connection that Control refused.
func Refused(err error) bool { return errors.Is(err, errRefused) }

// Control is for net.Dialer.ControlContext: it sees the address that is really connected to.
func (g Guard) Control(_ context.Context, network, address string, _ syscall.RawConn) error {
	if g.AllowPrivate {
		return nil
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil || !strings.HasPrefix(network, "tcp") {
		return fmt.Errorf("%w: %q over %s", errRefused, address, network)
	}
	if !Public(to.Addr()) {
		return fmt.Errorf("%w: %s", errRefused, to.Addr())
	}
	return nil
}

// special lists the networks that are not the public internet and that netip has no question for (IANA's registries of
// special-purpose addresses). Networks that carry an IPv4 address inside an IPv6 one belong to them.
var special = prefixes(
	"0.0.0.0/8",       // this network
	"100.64.0.0/10",   // carriers' own; clouds keep metadata here too
	"192.0.0.0/24",    // protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // 6to4 relays
	"198.18.0.0/15",   // benchmarks
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"240.0.0.0/4",     // reserved, broadcast
	"64:ff9b::/96",    // NAT64
	"64:ff9b:1::/48",  // NAT64, local
	"100::/64",        // discard
	"2001::/23",       // protocol assignments, Teredo
	"2001:db8::/32",   // documentation
	"2002::/16",       // 6to4
	"3fff::/20",       // documentation
	"5f00::/16",       // segment routing
)

// globalIPv6 is all that is given out for the public internet.
var globalIPv6 = netip.MustParsePrefix("2000::/3")

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

// Public tells whether an address belongs to the public internet.
func Public(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	if !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() {
		return false
	}
	if a.Is6() && !globalIPv6.Contains(a) {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

package api

import (
	"net/http"
	"net/netip"
	"strings"
)

// clientAddress is the address of the client: the one at the other end of the connection or, if that is a proxy that the operator
// trusts, the last one in X-Forwarded-For that is none. Nothing else of a header is believed: anybody can send it, and lockouts,
// rate limits and the audit log hang on the address.
func (s *Server) clientAddress(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	client := plainAddress(peer.Addr())
	if !s.trusted(client) {
		return client.String()
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := parseHop(strings.TrimSpace(hops[i]))
		if err != nil { // what stands before it was not written by a proxy of ours either
			return client.String()
		}
		if client = plainAddress(hop); !s.trusted(client) {
			break
		}
	}
	return client.String()
}

// parseHop reads an address, with a port or in brackets as some proxies write it.
func parseHop(s string) (netip.Addr, error) {
	if both, err := netip.ParseAddrPort(s); err == nil {
		return both.Addr(), nil
	}
	if inside, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inside, "]") {
		s = strings.TrimSuffix(inside, "]")
	}
	return netip.ParseAddr(s)
}

func plainAddress(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func (s *Server) trusted(a netip.Addr) bool {
	for _, p := range s.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

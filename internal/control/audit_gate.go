package control

import (
	"net/netip"
	"sync"
	"time"

	"waybill/internal/job"
)

// Refused calls cost whoever makes them nothing, so each must not cost a row: of like ones from one address within a minute the
// first is stored at once and the others as one entry with their number. And of addresses, which somebody may have many of,
// only so many are told apart.
const (
	gateWindow    = time.Minute
	gateAddresses = 100 // kinds of refused calls told apart within a minute; those beyond are counted together
	gateKinds     = 10  // of one address, so that a few can not have what others do counted together
)

// auditGate counts refused calls. The zero value is ready.
type auditGate struct {
	mu    sync.Mutex
	seen  map[gateKey]*job.AuditEntry
	kinds map[string]int // of an address
}

type gateKey struct {
	account, actor  int64 // the actor is a user there is, so guesses at names are one kind
	credential      job.Credential
	address, action string
	reason          job.Word
	overflow        bool
}

// pass tells whether the entry is to be stored now; if not it is counted.
func (g *auditGate) pass(e job.AuditEntry) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.seen == nil {
		g.seen, g.kinds = map[gateKey]*job.AuditEntry{}, map[string]int{}
	}
	from := NetworkOf(e.Address)
	key := gateKey{account: e.AccountID, actor: e.ActorID, credential: e.Credential, address: from, action: e.Action, reason: e.Reason}
	if _, known := g.seen[key]; !known && g.kinds[from] >= gateKinds {
		key, e = gateKey{address: from, overflow: true}, refusedCalls(e.Address)
	}
	if _, known := g.seen[key]; !known && len(g.seen) >= gateAddresses {
		key, e = gateKey{overflow: true}, refusedCalls("(many)")
	}
	if counted := g.seen[key]; counted != nil {
		counted.Count++
		return false
	}
	if key.overflow {
		g.seen[key] = &e
		return false
	}
	g.kinds[from]++
	more := e
	more.Count, more.Request, more.Trace, more.Changes = 0, "", "", nil
	g.seen[key] = &more
	return true
}

// refusedCalls counts calls that are not told apart.
func refusedCalls(address string) job.AuditEntry {
	return job.AuditEntry{Action: "refused", Result: job.AuditDenied, Reason: job.WordRateLimited, Address: address, Count: 1}
}

// take gives what was counted and begins a new window.
func (g *auditGate) take() (entries []job.AuditEntry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range g.seen {
		if e.Count > 0 {
			entries = append(entries, *e)
		}
	}
	g.seen, g.kinds = nil, nil
	return entries
}

// NetworkOf is what one client has of addresses: of IPv6 a network of 64 bits. What is held against an address is held against that, by the
// lockout, by the limits of calls, and where the audit log counts refusals.
func NetworkOf(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Is4() {
		return address
	}
	p, err := a.Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}

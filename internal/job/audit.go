package job

import "time"

// AuditEntry is what the audit log says of one act of somebody: a call that would change something, a sign-in, or a command on
// the server's machine. Entries are written once and never changed.
type AuditEntry struct {
	ID        int64
	AccountID int64 // whose admins may read it; 0: nobody's but the operator's
	Time      time.Time
	ActorID   int64  // user; 0: nobody who is signed in, or a command
	Actor     string // user name, or "cli:" and the name of a user of the machine
	Action    string // such as jobconfig.update
	// Resource is what was acted on, as far as it is known.
	ResourceType, ResourceID string
	Address                  string // of the client
	Request, Trace           string // ids
	Result                   AuditResult
	Reason                   Word       // of a result that is not AuditOK
	Credential               Credential // that the call showed; zero: none, or an entry of a version that did not keep it
	Changes                  []AuditChange
	Count                    int // of like acts that the entry stands for, at least 1
}

// AuditResult tells how an act ended.
type AuditResult string

// The results.
const (
	AuditOK     AuditResult = "ok"
	AuditDenied AuditResult = "denied" // the actor was not who was claimed, or had no right
	AuditFailed AuditResult = "failed" // it could not be done
)

// AuditChange is a sensitive field before and after an act. A secret one shows only that it was changed.
type AuditChange struct {
	Field  string `json:"field"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// AuditSecret stands for a value that is not shown.
const AuditSecret = "(secret)"

// AuditResultOf tells what an error means for the result of an act.
func AuditResultOf(err error) (AuditResult, Word) {
	if err == nil {
		return AuditOK, ""
	}
	word := WordOf(err)
	if word == "" {
		word = WordInternal
	}
	switch CodeOf(err) {
	case Unauthenticated, Forbidden, RateLimited:
		return AuditDenied, word
	}
	return AuditFailed, word
}

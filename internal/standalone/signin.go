package standalone

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"strings"

	"go.temporal.io/server/common/authorization"
)

// bearer adds the token to the calls that we make ourselves.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if b == "" {
		return nil, nil
	}
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity is false: the frontend listens on loopback.
func (bearer) RequireTransportSecurity() bool { return false }

// tokenClaims lets those do everything who show the token, and others nothing.
type tokenClaims struct{ want [sha256.Size]byte }

func newTokenClaims(token string) *tokenClaims {
	return &tokenClaims{want: sha256.Sum256([]byte(token))}
}

// GetClaims tells what a caller may do. A wrong token is no error: the server writes each of those to its log, and jobs may
// try as often as they like.
func (t *tokenClaims) GetClaims(info *authorization.AuthInfo) (*authorization.Claims, error) {
	scheme, token, _ := strings.Cut(info.AuthToken, " ")
	got := sha256.Sum256([]byte(strings.TrimSpace(token)))
	if !strings.EqualFold(scheme, "bearer") || subtle.ConstantTimeCompare(got[:], t.want[:]) != 1 {
		return &authorization.Claims{}, nil
	}
	return &authorization.Claims{System: authorization.RoleAdmin}, nil
}

// holders lets in whom the claims make an admin of the system: the holder of the token, and the server's own workers, which
// come by the internal frontend. What tells nothing but that the server is up is open to all.
type holders struct{}

func (holders) Authorize(_ context.Context, caller *authorization.Claims, target *authorization.CallTarget) (authorization.Result, error) {
	switch {
	case authorization.IsHealthCheckAPI(target.APIName), caller != nil && caller.System >= authorization.RoleAdmin:
		return authorization.Result{Decision: authorization.DecisionAllow}, nil
	}
	return authorization.Result{
		Decision: authorization.DecisionDeny, Reason: "the bearer token of the data folder, file " + TokenFile + ", is missing or wrong",
	}, nil
}

package job

import (
	"encoding/json"
	"fmt"
	"time"
)

// AccessPolicy is what general users who have it may do beside what is theirs. It can only add.
type AccessPolicy struct {
	ID          int64
	AccountID   int64
	Name        string // unique in the account without regard to case
	Description string
	Permissions []Permission
	CreatedAt   time.Time
	CreatedBy   UserRef
	ModifiedAt  time.Time
	ModifiedBy  UserRef
}

// PolicyRef names a policy where others show it.
type PolicyRef struct {
	ID   int64
	Name string
}

// MaxUserPolicies bounds the policies of a user, which are read at every call of the user.
const MaxUserPolicies = 50

// TooManyPolicies is the error of one more.
func TooManyPolicies() error {
	return Errorf(Invalid, WordInvalidField, "A user has at most %d access policies", MaxUserPolicies)
}

// GivenPolicy is a policy that a user has.
type GivenPolicy struct {
	AccessPolicy
	User UserRef
}

// MarshalJSON writes the verbs by their names: what is stored does not depend on their order.
func (s Verbs) MarshalJSON() ([]byte, error) { return json.Marshal(s.List()) }

// UnmarshalJSON reads what MarshalJSON wrote. A verb that is none of ours gives no right.
func (s *Verbs) UnmarshalJSON(text []byte) error {
	var list []Verb
	if err := json.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("verbs: %w", err)
	}
	*s = VerbsOf(list...)
	return nil
}

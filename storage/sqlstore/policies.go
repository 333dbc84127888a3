package sqlstore

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

type policyRow struct {
	ID              int64   `gorm:"column:id;primaryKey;autoIncrement"`
	AccountID       int64   `gorm:"column:account_id"`
	Name            string  `gorm:"column:name"`
	NameKey         string  `gorm:"column:name_key"`
	Description     string  `gorm:"column:description"`
	DescriptionFold *string `gorm:"column:description_fold"`
	Permissions     string  `gorm:"column:permissions"` // JSON of []job.Permission
	CreatedAt       int64   `gorm:"column:created_at;autoCreateTime:false"`
	CreatedByID     int64   `gorm:"column:created_by_id"`
	CreatedByName   string  `gorm:"column:created_by_name"`
	CreatedByFold   *string `gorm:"column:created_by_fold"`
	ModifiedAt      int64   `gorm:"column:modified_at"`
	ModifiedByID    int64   `gorm:"column:modified_by_id"`
	ModifiedByName  string  `gorm:"column:modified_by_name"`
	ModifiedByFold  *string `gorm:"column:modified_by_fold"`
}

func (policyRow) TableName() string { return "access_policies" }

// givenRow is a policy with a user who has it.
type givenRow struct {
	policyRow
	UserID   int64  `gorm:"column:user_id"`
	UserName string `gorm:"column:user_name"`
}

var policyColumns = columnsOf[policyRow]("p.")

var policyProperties = map[string]property{
	"id":                      {kind: kindID, column: "p.id"},
	"name":                    {kind: kindText, column: "p.name", folded: "p.name_key"},
	"description":             text("p.description", "p.description_fold"),
	"created":                 {kind: kindTime, column: "p.created_at"},
	"createdByUser.id":        {kind: kindID, column: "p.created_by_id"},
	"createdByUser.name":      text("p.created_by_name", "p.created_by_fold"),
	"lastModified":            {kind: kindTime, column: "p.modified_at"},
	"lastModifiedByUser.id":   {kind: kindID, column: "p.modified_by_id"},
	"lastModifiedByUser.name": text("p.modified_by_name", "p.modified_by_fold"),
}

var policyListing = listing{
	from: "access_policies p", columns: policyColumns, id: "p.id", idKind: kindID,
	order: []job.Sort{{Property: "name"}}, props: policyProperties,
}

// givenListing has a row for every user of every policy.
var givenListing = listing{
	from:    "user_access_policies g JOIN access_policies p ON p.id = g.policy_id JOIN users u ON u.id = g.user_id",
	columns: policyColumns + ", u.id AS user_id, u.name AS user_name", id: "g.id", idKind: kindID,
	order: []job.Sort{{Property: "name"}},
	props: func() map[string]property {
		props := map[string]property{
			"userId":   {kind: kindID, column: "u.id"},
			"userName": {kind: kindText, column: "u.name", folded: "u.name_key"},
		}
		for name, p := range policyProperties {
			props[name] = p
		}
		return props
	}(),
}

func toPolicyRow(p job.AccessPolicy) policyRow {
	return policyRow{
		ID: p.ID, AccountID: p.AccountID, Name: p.Name, NameKey: fold(p.Name), Description: p.Description,
		DescriptionFold: foldOrNull(p.Description), Permissions: toJSON(p.Permissions),
		CreatedAt: micros(p.CreatedAt), CreatedByID: p.CreatedBy.ID, CreatedByName: p.CreatedBy.Name, CreatedByFold: foldOrNull(p.CreatedBy.Name),
		ModifiedAt: micros(p.ModifiedAt), ModifiedByID: p.ModifiedBy.ID, ModifiedByName: p.ModifiedBy.Name,
		ModifiedByFold: foldOrNull(p.ModifiedBy.Name),
	}
}

func (r policyRow) policy() (job.AccessPolicy, error) {
	p := job.AccessPolicy{
		ID: r.ID, AccountID: r.AccountID, Name: r.Name, Description: r.Description,
		CreatedAt: timeOf(r.CreatedAt), CreatedBy: job.UserRef{ID: r.CreatedByID, Name: r.CreatedByName},
		ModifiedAt: timeOf(r.ModifiedAt), ModifiedBy: job.UserRef{ID: r.ModifiedByID, Name: r.ModifiedByName},
	}
	return p, fromJSON(r.Permissions, &p.Permissions)
}

func (r givenRow) given() (job.GivenPolicy, error) {
	p, err := r.policy()
	return job.GivenPolicy{AccessPolicy: p, User: job.UserRef{ID: r.UserID, Name: r.UserName}}, err
}

func noPolicy(id any) error {
	return job.Errorf(job.NotFound, job.WordNotFound, "Access policy %v not found", id)
}

// maxPolicies bounds the policies of an account.
const maxPolicies = 1000

// Grants is control.GrantStore's.
func (s *Store) Grants(ctx context.Context, account, user int64) (job.Grants, error) {
	texts, err := many[string](s.read.WithContext(ctx), `
		SELECT p.permissions FROM user_access_policies g JOIN access_policies p ON p.id = g.policy_id AND p.account_id = ?
		WHERE g.user_id = ? AND g.account_id = ?`, account, user, account)
	if err != nil {
		return job.Grants{}, s.fault(ctx, err)
	}
	var all []job.Permission
	for _, text := range texts {
		var some []job.Permission
		if err := fromJSON(text, &some); err != nil {
			return job.Grants{}, s.fault(ctx, err)
		}
		all = append(all, some...)
	}
	return job.GrantsOf(all...), nil
}

// AccessPolicies is control.PolicyStore's.
func (s *Store) AccessPolicies(ctx context.Context, q job.Query) (job.List[job.AccessPolicy], error) {
	return list(ctx, s, policyListing, q, condition{sql: "p.account_id = ?", args: []any{q.Scope.AccountID}}, policyRow.policy)
}

// GivenPolicies is control.PolicyStore's.
func (s *Store) GivenPolicies(ctx context.Context, user int64, q job.Query) (job.List[job.GivenPolicy], error) {
	scope := condition{sql: "g.account_id = ? AND p.account_id = ?", args: []any{q.Scope.AccountID, q.Scope.AccountID}}
	if user != 0 {
		scope = scope.and(condition{sql: "g.user_id = ?", args: []any{user}})
	}
	return list(ctx, s, givenListing, q, scope, givenRow.given)
}

// AccessPolicy is control.PolicyStore's.
func (s *Store) AccessPolicy(ctx context.Context, account, id int64) (job.AccessPolicy, error) {
	row, found, err := one[policyRow](s.read.WithContext(ctx),
		"SELECT "+policyColumns+" FROM access_policies p WHERE p.id = ? AND p.account_id = ?", id, account)
	if err != nil {
		return job.AccessPolicy{}, s.fault(ctx, err)
	}
	if !found {
		return job.AccessPolicy{}, noPolicy(id)
	}
	p, err := row.policy()
	return p, s.fault(ctx, err)
}

// CreateAccessPolicy is control.PolicyStore's.
func (s *Store) CreateAccessPolicy(ctx context.Context, p job.AccessPolicy) (job.AccessPolicy, error) {
	if err := checkText("name", p.Name, "description", p.Description); err != nil {
		return job.AccessPolicy{}, err
	}
	row := toPolicyRow(p)
	err := s.transact(ctx, func(tx *gorm.DB) error {
		if err := s.roomFor(tx, p.AccountID); err != nil {
			return err
		}
		row.ID = 0
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
		auditMade(ctx, "accesspolicy", row.ID)
		return nil
	})
	if err != nil {
		return job.AccessPolicy{}, takenPolicy(p, err)
	}
	return row.policy()
}

// roomFor holds the account's row, so that calls at once are counted one after the other.
func (s *Store) roomFor(tx *gorm.DB, account int64) error {
	if _, _, err := one[int64](tx, "SELECT id FROM accounts WHERE id = ?"+s.forNoKeyUpdate(), account); err != nil {
		return err
	}
	n, _, err := one[int64](tx, "SELECT count(*) FROM access_policies WHERE account_id = ?", account)
	if err == nil && n >= maxPolicies {
		err = job.Errorf(job.Invalid, job.WordInvalidField, "An account has at most %d access policies", maxPolicies)
	}
	return err
}

func takenPolicy(p job.AccessPolicy, err error) error {
	if !taken(err) {
		return err
	}
	return job.Wrap(err, job.Conflict, job.WordDuplicateName, "An access policy named '%s' already exists", p.Name)
}

// UpdateAccessPolicy is control.PolicyStore's.
func (s *Store) UpdateAccessPolicy(ctx context.Context, p job.AccessPolicy, was time.Time) error {
	if err := checkText("name", p.Name, "description", p.Description); err != nil {
		return err
	}
	r := toPolicyRow(p)
	err := s.transact(ctx, func(tx *gorm.DB) error {
		changed, err := run(tx, `
			UPDATE access_policies SET name = ?, name_key = ?, description = ?, description_fold = ?, permissions = ?,
				modified_at = ?, modified_by_id = ?, modified_by_name = ?, modified_by_fold = ?
			WHERE id = ? AND account_id = ? AND modified_at = ?`,
			r.Name, r.NameKey, r.Description, r.DescriptionFold, r.Permissions, r.ModifiedAt, r.ModifiedByID, r.ModifiedByName, r.ModifiedByFold,
			r.ID, r.AccountID, micros(was))
		if err != nil || changed > 0 {
			return err
		}
		_, found, err := one[int64](tx, "SELECT id FROM access_policies WHERE id = ? AND account_id = ?", p.ID, p.AccountID)
		if err == nil && !found {
			return noPolicy(p.ID)
		}
		if err == nil {
			err = stale("Access policy", p.ID)
		}
		return err
	})
	return takenPolicy(p, err)
}

// DeleteAccessPolicy is control.PolicyStore's.
func (s *Store) DeleteAccessPolicy(ctx context.Context, account, id int64) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		// The row first: whoever is giving it to somebody waits, and then does not find it.
		_, found, err := one[int64](tx, "SELECT id FROM access_policies WHERE id = ? AND account_id = ?"+s.forUpdate(), id, account)
		if err == nil && !found {
			return noPolicy(id)
		}
		if err == nil {
			_, err = run(tx, "DELETE FROM user_access_policies WHERE policy_id = ? AND account_id = ?", id, account)
		}
		if err == nil {
			_, err = run(tx, "DELETE FROM access_policies WHERE id = ? AND account_id = ?", id, account)
		}
		return err
	})
}

// PolicyNames is control.PolicyStore's.
func (s *Store) PolicyNames(ctx context.Context, account int64, users []int64) (map[int64][]job.PolicyRef, error) {
	type row struct {
		User int64
		ID   int64
		Name string
	}
	names := map[int64][]job.PolicyRef{}
	for some := range slices.Chunk(users, configsAtOnce) {
		rows, err := many[row](s.read.WithContext(ctx), `
			SELECT g.user_id, p.id, p.name FROM user_access_policies g JOIN access_policies p ON p.id = g.policy_id
			WHERE g.user_id IN ? AND g.account_id = ? AND p.account_id = ? ORDER BY p.name_key, p.id`, some, account, account)
		if err != nil {
			return nil, s.fault(ctx, err)
		}
		for _, r := range rows {
			names[r.User] = append(names[r.User], job.PolicyRef{ID: r.ID, Name: r.Name})
		}
	}
	return names, nil
}

// GivePolicies is control.PolicyStore's.
func (s *Store) GivePolicies(ctx context.Context, account, user int64, policies []int64, by job.UserRef, at time.Time) error {
	share := ""
	if s.driver == Postgres {
		share = " FOR KEY SHARE" // nobody deletes it meanwhile
	}
	return s.transact(ctx, func(tx *gorm.DB) error {
		_, found, err := one[int64](tx, "SELECT id FROM users WHERE id = ? AND account_id = ?"+s.forUpdate(), user, account)
		if err == nil && !found {
			return noUser(user)
		}
		for _, id := range policies {
			if err != nil {
				return err
			}
			_, found, err = one[int64](tx, "SELECT id FROM access_policies WHERE id = ? AND account_id = ?"+share, id, account)
			if err == nil && !found {
				return noPolicy(id)
			}
			if err == nil {
				_, err = run(tx, `INSERT INTO user_access_policies (user_id, policy_id, account_id, given_at, given_by_id, given_by_name)
					VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (user_id, policy_id) DO NOTHING`, user, id, account, micros(at), by.ID, by.Name)
			}
		}
		if err != nil {
			return err
		}
		n, _, err := one[int64](tx, "SELECT count(*) FROM user_access_policies WHERE user_id = ?", user)
		if err == nil && n > job.MaxUserPolicies {
			err = job.TooManyPolicies()
		}
		return err
	})
}

// TakePolicy is control.PolicyStore's.
func (s *Store) TakePolicy(ctx context.Context, account, user, policy int64) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		gone, err := run(tx, "DELETE FROM user_access_policies WHERE user_id = ? AND policy_id = ? AND account_id = ?", user, policy, account)
		if err == nil && gone == 0 {
			err = job.Errorf(job.NotFound, job.WordNotFound, "User %d does not have access policy %d", user, policy)
		}
		return err
	})
}

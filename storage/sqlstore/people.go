package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

var userListing = listing{
	from: "users", columns: columnsOf[userRow](""), id: "id", idKind: kindID,
	order: []job.Sort{{Property: "username"}},
	props: map[string]property{
		"id":           {kind: kindID, column: "id"},
		"username":     {kind: kindText, column: "name", folded: "name_key"},
		"email":        {kind: kindText, column: "email", folded: "lower(email)"},
		"firstName":    {kind: kindText, column: "first_name", folded: "lower(first_name)"},
		"lastName":     {kind: kindText, column: "last_name", folded: "lower(last_name)"},
		"active":       {kind: kindBool, column: "active"},
		"admin":        {kind: kindBool, column: "admin"},
		"created":      {kind: kindTime, column: "created_at"},
		"lastModified": {kind: kindTime, column: "coalesce(nullif(modified_at, 0), created_at)"},
	},
}

// ListUsers is control.UserDirectory's.
func (s *Store) ListUsers(ctx context.Context, q job.Query) (job.List[job.User], error) {
	scope := scoped(job.Scope{AccountID: q.Scope.AccountID})
	if q.Scope.OwnerID != 0 {
		scope = scope.and(condition{sql: "id = ?", args: []any{q.Scope.OwnerID}})
	}
	return list(ctx, s, userListing, q, scope, func(r userRow) (job.User, error) { return r.user(), nil })
}

// UserBySubject is control.UserDirectory's.
func (s *Store) UserBySubject(ctx context.Context, account int64, by job.Subject) (job.User, error) {
	if by.ID == "" || clean(by.ID) != by.ID || clean(by.Issuer) != by.Issuer {
		return job.User{}, job.Errorf(job.NotFound, job.WordNotFound, "User not found")
	}
	return s.user(ctx, "of that subject", "account_id = ? AND sso_issuer = ? AND sso_subject = ?", account, by.Issuer, by.ID)
}

// UserByEmail is control.UserDirectory's. There is no index of addresses: it is asked once for each user at most, who is bound to a subject then.
func (s *Store) UserByEmail(ctx context.Context, account int64, email string) (job.User, error) {
	missing := job.Errorf(job.NotFound, job.WordNotFound, "There is no user with that address alone")
	if email == "" || clean(email) != email {
		return job.User{}, missing
	}
	rows, err := many[userRow](s.read.WithContext(ctx), "SELECT "+columnsOf[userRow]("")+
		" FROM users WHERE account_id = ? AND lower(email) = ? ORDER BY id LIMIT 2", account, fold(email))
	if err != nil {
		return job.User{}, s.fault(ctx, err)
	}
	if len(rows) != 1 {
		return job.User{}, missing
	}
	return rows[0].user(), nil
}

// UpdateUser is control.UserDirectory's.
func (s *Store) UpdateUser(ctx context.Context, u job.User) (job.User, error) {
	if err := checkPerson(u); err != nil {
		return job.User{}, err
	}
	row := toUserRow(u)
	var after job.User // u stays as the caller knows it: this may run again
	err := s.transact(ctx, func(tx *gorm.DB) error {
		// The change that is looked for here is the one that the update demands, so whoever is no admin here is none there.
		_, admin, err := one[int64](tx, "SELECT id FROM users WHERE id = ? AND account_id = ? AND change = ? AND admin AND active", u.ID, u.AccountID, u.Change)
		if err != nil {
			return err
		}
		if admin && (!u.Admin || !u.Active) {
			if err := s.otherAdmins(tx, u.AccountID, []int64{u.ID}); err != nil {
				return err
			}
		}
		_, local, err := one[int64](tx, "SELECT id FROM users WHERE id = ? AND account_id = ? AND change = ? AND sso_subject = ''", u.ID, u.AccountID, u.Change)
		if err != nil {
			return err
		}
		changed, found, err := one[userRow](tx, `UPDATE users SET admin = ?, active = ?, email = ?, first_name = ?, last_name = ?, street = ?, city = ?,
			state = ?, postal_code = ?, country = ?, sso_issuer = ?, sso_subject = ?, modified_by_id = ?, modified_by_name = ?, modified_at = ?, change = change + 1
			WHERE id = ? AND account_id = ? AND change = ? RETURNING `+columnsOf[userRow](""),
			row.Admin, row.Active, row.Email, row.FirstName, row.LastName, row.Street, row.City, row.State, row.PostalCode, row.Country,
			row.SSOIssuer, row.SSOSubject, row.ModifiedByID, row.ModifiedByName, row.ModifiedAt, row.ID, row.AccountID, row.Change)
		switch {
		case taken(s.fault(ctx, err)):
			return job.Wrap(err, job.Conflict, job.WordDuplicateName, "Another user signs in as that subject")
		case err != nil:
			return err
		case !found:
			return s.missingOrStaleUser(tx, u)
		}
		bound := local && row.SSOSubject != ""
		if bound {
			changed.PasswordHash = ""
			if _, err := run(tx, "UPDATE users SET password_hash = '' WHERE id = ? AND account_id = ?", u.ID, u.AccountID); err != nil {
				return err
			}
		}
		after = changed.user()
		if bound || !after.Active {
			_, err = endLogins(tx, after.ID, "", after.ModifiedAt)
		}
		if err == nil && !after.Active {
			err = endKeys(tx, after.AccountID, after.ID)
		}
		return err
	})
	if err != nil {
		return job.User{}, err
	}
	if !after.Active {
		s.cancelSoon(ctx, []int64{after.ID}, after.ModifiedAt)
	}
	return after, nil
}

func checkPerson(u job.User) error {
	return checkText("email", u.Email, "firstName", u.FirstName, "lastName", u.LastName, "street", u.Street, "city", u.City, "state", u.State,
		"postalCode", u.PostalCode, "country", u.Country, "issuer", u.SSO.Issuer, "subject", u.SSO.ID)
}

func (s *Store) missingOrStaleUser(tx *gorm.DB, u job.User) error {
	_, found, err := one[int64](tx, "SELECT id FROM users WHERE id = ? AND account_id = ?", u.ID, u.AccountID)
	if err != nil {
		return err
	}
	if !found {
		return noUser(u.ID)
	}
	return stale("User", u.ID)
}

// otherAdmins holds that an account has an active admin without the given users, if one of them is one now.
func (s *Store) otherAdmins(tx *gorm.DB, account int64, without []int64) error {
	// The account's row is the lock that keeps two calls at once from taking each other's for the last admin.
	if _, _, err := one[int64](tx, "SELECT id FROM accounts WHERE id = ?"+s.forNoKeyUpdate(), account); err != nil {
		return err
	}
	admin, found, err := one[int64](tx, "SELECT id FROM users WHERE account_id = ? AND id IN ? AND admin AND active ORDER BY id LIMIT 1", account, without)
	if err != nil || !found {
		return err
	}
	_, others, err := one[int64](tx, "SELECT id FROM users WHERE account_id = ? AND id NOT IN ? AND admin AND active LIMIT 1", account, without)
	if err != nil || others {
		return err
	}
	return job.Errorf(job.Conflict, job.WordLastAdmin, "User %d is the last active admin of the account", admin)
}

// SetUsersActive is control.UserDirectory's.
func (s *Store) SetUsersActive(ctx context.Context, account int64, ids []int64, active bool, by job.UserRef, at time.Time) (ended int64, err error) {
	err = s.transact(ctx, func(tx *gorm.DB) error {
		ended = 0
		if !active {
			if err := s.otherAdmins(tx, account, ids); err != nil {
				return err
			}
		}
		for _, id := range ids {
			n, err := run(tx, "UPDATE users SET active = ?, modified_by_id = ?, modified_by_name = ?, modified_at = ?, change = change + 1 WHERE id = ? AND account_id = ?",
				active, by.ID, by.Name, micros(at), id, account)
			if err == nil && n == 0 {
				err = noUser(id)
			}
			if err == nil && !active {
				n, err = endLogins(tx, id, "", at)
				ended += n
			}
			if err == nil && !active {
				err = endKeys(tx, account, id)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && !active {
		s.cancelSoon(ctx, ids, at)
	}
	return ended, err
}

// ChangePassword is control.UserDirectory's.
func (s *Store) ChangePassword(ctx context.Context, account, id int64, was, hash, keep string, by job.UserRef, at time.Time) (ended int64, err error) {
	err = s.transact(ctx, func(tx *gorm.DB) error {
		n, err := run(tx, "UPDATE users SET password_hash = ?, modified_by_id = ?, modified_by_name = ?, modified_at = ?, change = change + 1 "+
			"WHERE id = ? AND account_id = ? AND (? = '' OR password_hash = ?)", hash, by.ID, by.Name, micros(at), id, account, was, was)
		if err == nil && n == 0 {
			_, found, lookErr := one[int64](tx, "SELECT id FROM users WHERE id = ? AND account_id = ?", id, account)
			switch {
			case lookErr != nil:
				err = lookErr
			case found:
				err = stale("User", id)
			default:
				err = noUser(id)
			}
		}
		if err == nil {
			ended, err = endLogins(tx, id, keep, at)
		}
		if err == nil && by.ID != id { // a reset: whoever changes their own password may keep their keys
			err = endKeys(tx, account, id)
		}
		return err
	})
	return ended, err
}

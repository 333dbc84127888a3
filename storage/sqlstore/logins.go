package sqlstore

import (
	"context"

	"gorm.io/gorm"

	"waybill/internal/job"
)

type loginAttemptRow struct {
	ID        int64  `gorm:"column:id"`
	AccountID int64  `gorm:"column:account_id"`
	UserID    int64  `gorm:"column:user_id"`
	Username  string `gorm:"column:username"`
	At        int64  `gorm:"column:at"`
	Success   bool   `gorm:"column:success"`
	Word      string `gorm:"column:word"`
	Method    string `gorm:"column:method"`
	Address   string `gorm:"column:address"`
}

var loginListing = listing{
	from: "login_attempts", columns: columnsOf[loginAttemptRow](""), id: "id", idKind: kindID,
	order: []job.Sort{{Property: "timestamp", Desc: true}},
	props: map[string]property{
		"timestamp": {kind: kindTime, column: "at"},
		"userId":    {kind: kindID, column: "user_id"},
		"username":  {kind: kindText, column: "username", folded: "lower(username)"},
		"success":   {kind: kindBool, column: "success"},
		"exception": {kind: kindText, column: "word"},
		"method":    {kind: kindText, column: "method"},
		"address":   {kind: kindText, column: "address"},
	},
}

// AddLogin is control.LoginHistory's. Good and bad attempts are counted apart, so that whoever tries passwords does not push the
// user's own sign-ins out.
func (s *Store) AddLogin(ctx context.Context, a job.LoginAttempt, keep int) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		_, err := run(tx, "INSERT INTO login_attempts (account_id, user_id, username, at, success, word, method, address) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			a.AccountID, a.UserID, auditText(a.Username), micros(a.Time), a.Success, string(a.Word), string(a.Method), auditText(a.Address))
		if err != nil {
			return err
		}
		_, err = run(tx, `DELETE FROM login_attempts WHERE user_id = ? AND success = ? AND id <= (
			SELECT id FROM login_attempts WHERE user_id = ? AND success = ? ORDER BY id DESC LIMIT 1 OFFSET ?)`,
			a.UserID, a.Success, a.UserID, a.Success, keep)
		return err
	})
}

// Logins is control.LoginHistory's.
func (s *Store) Logins(ctx context.Context, q job.Query, user int64) (job.List[job.LoginAttempt], error) {
	scope := scoped(job.Scope{AccountID: q.Scope.AccountID})
	if user != 0 {
		scope = scope.and(condition{sql: "user_id = ?", args: []any{user}})
	}
	return list(ctx, s, loginListing, q, scope, func(r loginAttemptRow) (job.LoginAttempt, error) {
		return job.LoginAttempt{
			ID: r.ID, AccountID: r.AccountID, UserID: r.UserID, Username: r.Username, Time: timeOf(r.At), Success: r.Success, Word: job.Word(r.Word),
			Method: job.LoginMethod(r.Method), Address: r.Address,
		}, nil
	})
}

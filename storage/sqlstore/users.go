package sqlstore

import (
	"context"

	"gorm.io/gorm"

	"waybill/internal/control"
	"waybill/internal/job"
)

// defaultDestination is the name of the destination that an account begins with.
const defaultDestination = "default"

// UserByName is control.Users'.
func (s *Store) UserByName(ctx context.Context, name string) (job.User, error) {
	if clean(name) != name {
		return job.User{}, noUser(name)
	}
	return s.user(ctx, name, "name_key = ?", fold(name))
}

// User is control.Users'.
func (s *Store) User(ctx context.Context, account, id int64) (job.User, error) {
	return s.user(ctx, id, "id = ? AND account_id = ?", id, account)
}

func (s *Store) user(ctx context.Context, id any, condition string, args ...any) (job.User, error) {
	row, found, err := one[userRow](s.read.WithContext(ctx), "SELECT "+columnsOf[userRow]("")+" FROM users WHERE "+condition, args...)
	if err != nil {
		return job.User{}, s.fault(ctx, err)
	}
	if !found {
		return job.User{}, noUser(id)
	}
	return row.user(), nil
}

func noUser(id any) error { return job.Errorf(job.NotFound, job.WordNotFound, "User %v not found", id) }

// Account is control.Users'.
func (s *Store) Account(ctx context.Context, id int64) (job.Account, error) {
	row, found, err := one[accountRow](s.read.WithContext(ctx), "SELECT "+columnsOf[accountRow]("")+" FROM accounts WHERE id = ?", id)
	if err != nil {
		return job.Account{}, s.fault(ctx, err)
	}
	if !found {
		return job.Account{}, noAccount(id)
	}
	a, err := row.account()
	return a, s.fault(ctx, err)
}

// Destination is control.Users'.
func (s *Store) Destination(ctx context.Context, account, id int64) (job.Destination, error) {
	condition, args := "d.account_id = ? AND d.id = ?", []any{account, id}
	if id == 0 {
		// An account that has chosen no default has its system destination.
		condition = `d.account_id = ? AND d.id = (SELECT CASE WHEN a.destination_id <> 0 THEN a.destination_id
			ELSE (SELECT min(s.id) FROM destinations s WHERE s.account_id = a.id AND s.system) END FROM accounts a WHERE a.id = ?)`
		args = []any{account, account}
	}
	row, found, err := one[destinationRow](s.read.WithContext(ctx),
		"SELECT "+columnsOf[destinationRow]("d.")+" FROM destinations d WHERE "+condition, args...)
	if err != nil {
		return job.Destination{}, s.fault(ctx, err)
	}
	if !found {
		return job.Destination{}, noDestination(id)
	}
	return row.destination(), nil
}

// CreateAccount is control.Users'. Ids in a and admin are ignored.
func (s *Store) CreateAccount(
	ctx context.Context, a job.Account, queue string, admin job.User,
) (job.Account, job.User, error) {
	if err := checkText("account", a.Name, "username", admin.Name, "queue", queue); err != nil {
		return job.Account{}, job.User{}, err
	}
	var (
		account accountRow
		made    job.Account
		user    userRow
	)
	err := s.transact(ctx, func(tx *gorm.DB) error {
		account = toAccountRow(job.Account{Name: fold(a.Name), Change: 1, CreatedAt: a.CreatedAt})
		err := tx.Create(&account).Error
		if taken(s.fault(ctx, err)) {
			return job.Wrap(err, job.Conflict, job.WordDuplicateName, "An account named '%s' already exists", account.Name)
		}
		if err != nil {
			return err
		}
		destination := toDestinationRow(job.Destination{AccountID: account.ID, Name: defaultDestination, TaskQueue: queue, System: true})
		if err := tx.Create(&destination).Error; err != nil {
			return err
		}
		account.DestinationID = destination.ID
		if _, err := run(tx, "UPDATE accounts SET destination_id = ? WHERE id = ?", destination.ID, account.ID); err != nil {
			return err
		}
		user = toUserRow(admin)
		user.ID, user.AccountID, user.Admin = 0, account.ID, true
		err = tx.Create(&user).Error
		if taken(s.fault(ctx, err)) {
			return job.Wrap(err, job.Conflict, job.WordDuplicateName, "A user named '%s' already exists", admin.Name)
		}
		if err != nil {
			return err
		}
		auditMade(ctx, "account", account.ID)
		control.TrailOf(ctx).Of(account.ID)
		made, err = account.account()
		return err
	})
	if err != nil {
		control.TrailOf(ctx).About("account") // the number is nobody's
		control.TrailOf(ctx).Of(0)
		return job.Account{}, job.User{}, err
	}
	return made, user.user(), nil
}

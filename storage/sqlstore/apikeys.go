package sqlstore

import (
	"context"
	"maps"
	"slices"
	"time"

	"gorm.io/gorm"

	"waybill/internal/control"
	"waybill/internal/job"
)

type apiKeyRow struct {
	ID              string  `gorm:"column:id;primaryKey"`
	AccountID       int64   `gorm:"column:account_id"`
	OwnerID         int64   `gorm:"column:owner_id"`
	OwnerName       string  `gorm:"column:owner_name"`
	OwnerNameFold   *string `gorm:"column:owner_name_fold"`
	Email           string  `gorm:"column:email"`
	Org             string  `gorm:"column:org"`
	Name            string  `gorm:"column:name"`
	NameFold        *string `gorm:"column:name_fold"`
	Description     string  `gorm:"column:description"`
	DescriptionFold *string `gorm:"column:description_fold"`
	Form            string  `gorm:"column:form"`
	Digest          string  `gorm:"column:digest"`
	SignedBy        string  `gorm:"column:signed_by"`
	Scopes          string  `gorm:"column:scopes"`  // JSON
	Configs         string  `gorm:"column:configs"` // JSON
	CreatedAt       int64   `gorm:"column:created_at;autoCreateTime:false"`
	ExpiresAt       int64   `gorm:"column:expires_at"`
	UsedAt          *int64  `gorm:"column:used_at"`
	Parent          *string `gorm:"column:parent"` // another key, with which the database deletes this one
}

func (apiKeyRow) TableName() string { return "api_keys" }

var apiKeyColumns = columnsOf[apiKeyRow]("")

var apiKeyListing = listing{
	from: "api_keys", columns: apiKeyColumns, id: "id", idKind: kindText,
	order: []job.Sort{{Property: "name"}},
	props: map[string]property{
		"id":          {kind: kindText, column: "id"},
		"name":        text("name", "name_fold"),
		"description": text("description", "description_fold"),
		"form":        {kind: kindText, column: "form"},
		"created":     {kind: kindTime, column: "created_at"},
		"expires":     {kind: kindTime, column: "expires_at"},
		"lastUsed":    {kind: kindTime, column: "used_at", null: true},
		"user.id":     {kind: kindID, column: "owner_id"},
		"user.name":   text("owner_name", "owner_name_fold"),
		"parent":      {kind: kindText, column: "parent", null: true},
	},
}

func toAPIKeyRow(k job.APIKey) apiKeyRow {
	configs := k.Configs
	if configs == nil {
		configs = []int64{}
	}
	return apiKeyRow{
		ID: k.ID, AccountID: k.AccountID, OwnerID: k.Maker.ID, OwnerName: k.Maker.Name, OwnerNameFold: foldOrNull(k.Maker.Name),
		Email: k.Email, Org: k.Org, Name: k.Name, NameFold: foldOrNull(k.Name), Description: k.Description, DescriptionFold: foldOrNull(k.Description),
		Form: string(k.Form), Digest: k.Digest, SignedBy: k.SignedBy, Scopes: toJSON(k.Scopes), Configs: toJSON(configs),
		CreatedAt: micros(k.CreatedAt), ExpiresAt: micros(k.ExpiresAt), UsedAt: microsOrNull(k.UsedAt), Parent: textOrNull(k.Parent),
	}
}

func (r apiKeyRow) key() (job.APIKey, error) {
	k := job.APIKey{
		ID: r.ID, AccountID: r.AccountID, Maker: job.UserRef{ID: r.OwnerID, Name: r.OwnerName}, Email: r.Email, Org: r.Org, Name: r.Name,
		Description: r.Description, Form: job.KeyForm(r.Form), Digest: r.Digest, SignedBy: r.SignedBy,
		CreatedAt: timeOf(r.CreatedAt), ExpiresAt: timeOf(r.ExpiresAt), UsedAt: timeOrZero(r.UsedAt), Parent: textOrEmpty(r.Parent),
	}
	if err := fromJSON(r.Scopes, &k.Scopes); err != nil {
		return k, err
	}
	err := fromJSON(r.Configs, &k.Configs)
	if len(k.Configs) == 0 {
		k.Configs = nil
	}
	return k, err
}

// CreateAPIKey is control.APIKeyStore's.
func (s *Store) CreateAPIKey(ctx context.Context, k job.APIKey, limit int) error {
	if err := checkText("name", k.Name, "description", k.Description); err != nil {
		return err
	}
	return s.transact(ctx, func(tx *gorm.DB) error {
		active, err := s.lockMaker(tx, k.AccountID, k.Maker.ID)
		if err == nil && !active { // since a moment ago: whoever deactivated them found no such key to end
			err = job.Errorf(job.Unauthenticated, job.WordUserInactive, "The user is not active")
		}
		if err != nil {
			return err
		}
		if k.Parent != "" {
			_, there, err := one[string](tx, "SELECT id FROM api_keys WHERE id = ? AND account_id = ? AND owner_id = ?", k.Parent, k.AccountID, k.Maker.ID)
			if err == nil && !there {
				err = job.Errorf(job.Unauthenticated, job.WordTokenInvalid, "API key is not valid")
			}
			if err != nil {
				return err
			}
		}
		now := micros(k.CreatedAt)
		have, _, err := one[int](tx, "SELECT count(*) FROM api_keys WHERE account_id = ? AND owner_id = ? AND expires_at > ?", k.AccountID, k.Maker.ID, now)
		if err != nil {
			return err
		}
		if have >= limit {
			return job.Errorf(job.Invalid, job.WordInvalidField, "A user has %d API keys at most", limit)
		}
		// Nor do expired ones pile up until they are purged.
		_, err = run(tx, `DELETE FROM api_keys WHERE id IN (SELECT id FROM api_keys WHERE account_id = ? AND owner_id = ? AND expires_at <= ?
			ORDER BY expires_at DESC, id LIMIT ? OFFSET ?)`, k.AccountID, k.Maker.ID, now, purgeBatch, limit)
		if err != nil {
			return err
		}
		return insert(tx, toAPIKeyRow(k))
	})
}

// lockMaker locks a user's row, so that their keys neither become more nor fewer meanwhile: those that hang off a key are its maker's.
func (s *Store) lockMaker(tx *gorm.DB, account, user int64) (active bool, err error) {
	active, found, err := one[bool](tx, "SELECT active FROM users WHERE id = ? AND account_id = ?"+s.forUpdate(), user, account)
	if err == nil && !found {
		err = noUser(user)
	}
	return active, err
}

// APIKey is control.APIKeyStore's.
func (s *Store) APIKey(ctx context.Context, id string) (job.APIKey, error) {
	if !job.ValidID(id) {
		return job.APIKey{}, noAPIKey()
	}
	row, found, err := one[apiKeyRow](s.read.WithContext(ctx), "SELECT "+apiKeyColumns+" FROM api_keys WHERE id = ?", id)
	if err != nil {
		return job.APIKey{}, s.fault(ctx, err)
	}
	if !found {
		return job.APIKey{}, noAPIKey()
	}
	k, err := row.key()
	return k, s.fault(ctx, err)
}

// APIKeys is control.APIKeyStore's.
func (s *Store) APIKeys(ctx context.Context, q job.Query) (job.List[job.APIKey], error) {
	scope := condition{sql: "account_id = ?", args: []any{q.Scope.AccountID}}
	if q.Scope.OwnerID != 0 {
		scope = scope.and(condition{sql: "owner_id = ?", args: []any{q.Scope.OwnerID}})
	}
	return list(ctx, s, apiKeyListing, q, scope, apiKeyRow.key)
}

// DeleteAPIKey is control.APIKeyStore's.
func (s *Store) DeleteAPIKey(ctx context.Context, account int64, id string) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		maker, found, err := one[int64](tx, "SELECT owner_id FROM api_keys WHERE id = ? AND account_id = ?", id, account)
		if err == nil && !found {
			err = noAPIKey()
		}
		if err != nil {
			return err
		}
		if _, err := s.lockMaker(tx, account, maker); err != nil {
			return err
		}
		type key struct{ ID, Name string }
		all, err := many[key](tx, `WITH RECURSIVE gone (id, name, depth) AS (
				SELECT id, name, 0 FROM api_keys WHERE id = ? AND account_id = ?
				UNION ALL SELECT k.id, k.name, gone.depth + 1 FROM api_keys k JOIN gone ON k.parent = gone.id)
			SELECT id, name FROM gone ORDER BY depth, id`, id, account)
		if err != nil {
			return err
		}
		n, err := run(tx, "DELETE FROM api_keys WHERE id = ? AND account_id = ?", id, account) // and with it what hangs off it
		if err == nil && n == 0 {
			err = noAPIKey()
		}
		if err != nil {
			return err
		}
		ids, names := make([]string, len(all)), make([]string, len(all))
		for i, k := range all {
			ids[i], names[i] = k.ID, k.Name
		}
		auditRevoked(ctx, ids, names)
		return nil
	})
}

// NoteAPIKeyUses is control.APIKeyStore's. Keys are written in the order of their ids, so that two processes do not wait for each
// other in a circle.
func (s *Store) NoteAPIKeyUses(ctx context.Context, used map[string]time.Time) error {
	return s.transactLater(ctx, func(tx *gorm.DB) error {
		for _, id := range slices.Sorted(maps.Keys(used)) {
			at := micros(used[id])
			if _, err := run(tx, "UPDATE api_keys SET used_at = ? WHERE id = ? AND (used_at IS NULL OR used_at < ?)", at, id, at); err != nil {
				return err
			}
		}
		return nil
	})
}

// SignedAPIKeys is control.SignedKeys'.
func (s *Store) SignedAPIKeys(ctx context.Context, sealing string, now time.Time) (int, error) {
	n, _, err := one[int](s.read.WithContext(ctx), "SELECT count(*) FROM api_keys WHERE signed_by = ? AND expires_at > ?", sealing, micros(now))
	return n, s.fault(ctx, err)
}

// EndSignedAPIKeys is control.SignedKeys'.
func (s *Store) EndSignedAPIKeys(ctx context.Context, sealing string) error {
	return s.transact(ctx, func(tx *gorm.DB) error {
		_, err := run(tx, "DELETE FROM api_keys WHERE signed_by = ?", sealing)
		return err
	})
}

// noAPIKey does not name the id: whoever sees the message does not need to know what a key holds.
func noAPIKey() error { return job.Errorf(job.NotFound, job.WordNotFound, "API key not found") }

var (
	_ control.APIKeyStore = (*Store)(nil)
	_ control.SignedKeys  = (*Store)(nil)
)

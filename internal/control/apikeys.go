package control

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"waybill/internal/job"
	"waybill/internal/token"
)

// APIKeyStore keeps the records of API keys.
type APIKeyStore interface {
	// CreateAPIKey stores a key, unless its maker has as many as limit that are not expired. Unauthenticated: its parent is gone.
	CreateAPIKey(ctx context.Context, k job.APIKey, limit int) error
	// APIKey finds a key of any account: whoever asks was shown the key itself.
	APIKey(ctx context.Context, id string) (job.APIKey, error)
	// APIKeys lists. Known properties: id name description form created expires lastUsed user.id user.name parent.
	APIKeys(ctx context.Context, q job.Query) (job.List[job.APIKey], error)
	// DeleteAPIKey deletes a key, the keys that were made with it, those that were made with these, and so on, and says so in the trail.
	DeleteAPIKey(ctx context.Context, account int64, id string) error
	// NoteAPIKeyUses notes when keys were used last, by id; a time that is before the one known changes nothing.
	NoteAPIKeyUses(ctx context.Context, used map[string]time.Time) error
}

// APIKeys is what can be done with API keys.
type APIKeys struct {
	Store    APIKeyStore
	Sessions *Sessions
	Configs  *Configs
	Signer   *token.KeySigner
	Now      Clock
	NewID    func() string // 24 hex digits
	Log      *slog.Logger

	mu   sync.Mutex
	used map[string]time.Time // not noted yet
}

// Limits of API keys.
const (
	keyLife        = 365 * 24 * time.Hour // where nothing else is said
	maxKeyLife     = 10 * 365 * 24 * time.Hour
	maxKeys        = 200 // of one user
	maxKeyName     = 255 // characters
	maxKeyConfigs  = 100
	keyUsesEvery   = time.Minute
	keyUsesAtOnce  = 10_000 // that wait to be noted; more are let go
	opaquePrefix   = "wbk_"
	opaqueSecret   = 26  // characters of rand.Text, about 130 bits
	maxKeyOfCaller = 200 // bytes of a text that may be an opaque key
)

// APIKeyInput is an API key as a caller asks for it.
type APIKeyInput struct {
	Name, Description string
	Form              job.KeyForm    // "": JWT
	Scopes            []job.KeyScope // empty: all that the caller has
	Resources         []string       // ids or object ids of job configs; empty: all
	Expires           time.Time      // zero: in a year
}

// Create makes an API key that acts as the actor. The key is in text and nowhere else.
func (s *APIKeys) Create(ctx context.Context, a job.Actor, in APIKeyInput) (k job.APIKey, text string, err error) {
	now := s.Now().UTC().Truncate(time.Microsecond)
	k = job.APIKey{
		ID: s.NewID(), AccountID: a.AccountID, Maker: a.User, Name: in.Name, Description: in.Description, Form: in.Form, CreatedAt: now,
	}
	if a.Key != nil { // whoever got at that one may hold this one, too
		k.Parent = a.Key.ID
	}
	if err := s.fill(ctx, a, &k, in, now); err != nil {
		return k, "", err
	}
	account, err := s.Sessions.Users.Account(ctx, a.AccountID)
	if err != nil {
		return k, "", err
	}
	emails, err := (&Runs{Users: s.Sessions.Users}).Emails(ctx, a.AccountID, a.User)
	if err != nil {
		return k, "", err
	}
	k.Org, k.Email = account.Name, emails[a.User.ID]
	if text, err = s.write(&k); err != nil {
		return k, "", err
	}
	trail := TrailOf(ctx)
	trail.About("apikey", k.ID)
	trail.Changed(keyChanges(k))
	return k, text, s.Store.CreateAPIKey(ctx, k, maxKeys)
}

func keyChanges(k job.APIKey) []job.AuditChange {
	var d differences
	d.add("name", "", k.Name)
	d.add("form", "", string(k.Form))
	d.add("parent", "", k.Parent)
	d.add("scopes", "", joinedScopes(k.Scopes))
	d.add("resources", "", joined(decimals(k.Configs)))
	d.add("expires", "", k.ExpiresAt.UTC().Format(time.RFC3339))
	return d
}

func joinedScopes(scopes []job.KeyScope) string {
	list := make([]string, len(scopes))
	for i, s := range scopes {
		list[i] = string(s)
	}
	return joined(list)
}

// fill checks what the caller asks for. A key that makes keys gives away no more than it has itself.
func (s *APIKeys) fill(ctx context.Context, a job.Actor, k *job.APIKey, in APIKeyInput, now time.Time) error {
	switch {
	case a.Job != nil:
		return job.Errorf(job.Forbidden, job.WordAccessDenied, "A job can not make API keys: they would outlive it")
	case in.Name == "":
		return job.Errorf(job.Invalid, job.WordMissingField, "name is required")
	case !printable(in.Name, maxKeyName):
		return invalidField("name has at most %d characters and no control characters", maxKeyName)
	case utf8.RuneCountInString(in.Description) > maxDescription || strings.ContainsRune(in.Description, 0):
		return invalidField("description has at most %d characters and no NUL", maxDescription)
	}
	switch in.Form {
	case "":
		k.Form = job.KeyJWT
	case job.KeyJWT, job.KeyOpaque:
	default:
		return invalidField("form is jwt or opaque")
	}
	if err := keyExpiry(a, k, in.Expires, now); err != nil {
		return err
	}
	if err := keyScopes(a, k, in.Scopes); err != nil {
		return err
	}
	return s.keyConfigs(ctx, a, k, in.Resources)
}

func keyExpiry(a job.Actor, k *job.APIKey, wish, now time.Time) error {
	k.ExpiresAt = wish.UTC().Truncate(time.Second) // what a JWT can say
	if wish.IsZero() {
		k.ExpiresAt = now.Add(keyLife).Truncate(time.Second)
		if a.Key != nil && a.Key.ExpiresAt.Before(k.ExpiresAt) {
			k.ExpiresAt = a.Key.ExpiresAt
		}
	}
	switch {
	case !k.ExpiresAt.After(now):
		return invalidField("expires must be in the future")
	case k.ExpiresAt.After(now.Add(maxKeyLife)):
		return invalidField("expires is at most ten years away")
	case a.Key != nil && k.ExpiresAt.After(a.Key.ExpiresAt):
		return job.Errorf(job.Forbidden, job.WordAccessDenied, "A key can not make one that lives longer than itself")
	}
	return nil
}

func keyScopes(a job.Actor, k *job.APIKey, wish []job.KeyScope) error {
	for _, scope := range wish {
		switch {
		case !slices.Contains(job.KeyScopes, scope):
			return invalidField("scopes are run, read and write; '%s' is none", short(string(scope)))
		case !a.Key.Allows(scope):
			return job.Errorf(job.Forbidden, job.WordAccessDenied, "A key without the scope %s can not make one that has it", scope)
		}
	}
	for _, scope := range job.KeyScopes { // in one order, each once
		if (len(wish) == 0 || slices.Contains(wish, scope)) && a.Key.Allows(scope) {
			k.Scopes = append(k.Scopes, scope)
		}
	}
	return nil
}

func (s *APIKeys) keyConfigs(ctx context.Context, a job.Actor, k *job.APIKey, refs []string) error {
	if len(refs) > maxKeyConfigs {
		return invalidField("resources has at most %d job configs", maxKeyConfigs)
	}
	for _, ref := range refs {
		c, err := s.Configs.Get(ctx, a, ref)
		if job.CodeOf(err) == job.NotFound {
			return job.Wrap(err, job.Invalid, job.WordInvalidField, "resources: there is no job config '%s'", short(ref))
		}
		if err != nil {
			return err
		}
		if !a.Key.Reaches(c.ID) {
			return job.Errorf(job.Forbidden, job.WordAccessDenied, "A key can not make one for job config %s, which it is not for itself", short(ref))
		}
		if !slices.Contains(k.Configs, c.ID) {
			k.Configs = append(k.Configs, c.ID)
		}
	}
	if len(refs) == 0 && a.Key.Limited() {
		k.Configs = slices.Clone(a.Key.Configs)
	}
	return nil
}

// write makes the key itself.
func (s *APIKeys) write(k *job.APIKey) (text string, err error) {
	if k.Form == job.KeyOpaque {
		text = opaquePrefix + k.ID + "_" + rand.Text()
		k.Digest = token.Hash(text)
		return text, nil
	}
	text, k.SignedBy, err = s.Signer.Sign(token.KeyClaims{
		ID: k.ID, UserID: k.Maker.ID, Org: k.Org, Email: k.Email, Name: k.Maker.Name, IssuedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt,
	})
	if err != nil {
		return "", job.Wrap(err, job.Internal, job.WordInternal, "The API key can not be signed")
	}
	return text, nil
}

// List lists the actor's keys; an admin's list has those of the whole account. A lesser key sees itself alone.
func (s *APIKeys) List(ctx context.Context, a job.Actor, q job.Query) (job.List[job.APIKey], error) {
	q.Scope = job.Scope{AccountID: a.AccountID, OwnerID: a.User.ID}
	if a.Administers(job.View) {
		q.Scope.OwnerID = 0
	}
	if a.Key.Lesser() {
		q.Scope.OwnerID = a.User.ID
		itself := job.And{job.Compare{Property: "id", Op: job.Eq, Values: []any{a.Key.ID}}}
		if q.Where != nil {
			itself = append(itself, q.Where)
		}
		q.Where = itself
	}
	return s.Store.APIKeys(ctx, q)
}

// Get finds a key's record. One of the actor's account that is not theirs is Forbidden.
func (s *APIKeys) Get(ctx context.Context, a job.Actor, id string) (job.APIKey, error) {
	missing := job.Errorf(job.NotFound, job.WordNotFound, "API key %s not found", short(id))
	if !job.ValidID(id) {
		return job.APIKey{}, missing
	}
	k, err := s.Store.APIKey(ctx, id)
	switch {
	case job.CodeOf(err) == job.NotFound || err == nil && k.AccountID != a.AccountID:
		return job.APIKey{}, missing
	case err != nil:
		return job.APIKey{}, err
	case !a.Administers(job.View) && k.Maker.ID != a.User.ID:
		return job.APIKey{}, job.Errorf(job.Forbidden, job.WordAccessDenied, "API key %s belongs to another user", id)
	case a.Key.Lesser() && k.ID != a.Key.ID:
		return job.APIKey{}, job.Errorf(job.Forbidden, job.WordAccessDenied, "API key %s is another one: a key of fewer scopes or of single job configs is for itself alone", id)
	}
	return k, nil
}

// Revoke ends a key, and those that were made with it, at once, everywhere: every call looks its record up, and there is none any more.
func (s *APIKeys) Revoke(ctx context.Context, a job.Actor, id string) error {
	k, err := s.Get(ctx, a, id)
	if err != nil {
		return err
	}
	return s.Store.DeleteAPIKey(ctx, a.AccountID, k.ID)
}

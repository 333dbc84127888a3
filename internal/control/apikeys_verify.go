package control

import (
	"context"
	"crypto/subtle"
	"errors"
	"strings"
	"time"

	"waybill/internal/job"
	"waybill/internal/token"
)

// ErrNotAKey is the cause where a text has not even the form of an API key, ErrKeyWithoutOrg where a good one names no account.
var (
	ErrNotAKey       = errors.New("the text is no API key")
	ErrKeyWithoutOrg = errors.New("the API key names no account")
)

// LooksLikeKey tells whether a bearer token is an API key rather than an access token.
func LooksLikeKey(text string) bool {
	if strings.HasPrefix(text, opaquePrefix) {
		return true
	}
	_, ok := token.PeekKey(text)
	return ok
}

// Authenticate tells who shows an API key, and notes that it was used.
func (s *APIKeys) Authenticate(ctx context.Context, text string) (job.Actor, error) {
	k, err := s.verify(ctx, text)
	if err != nil {
		return job.Actor{}, err
	}
	u, err := s.Sessions.Users.User(ctx, k.AccountID, k.Maker.ID)
	if job.CodeOf(err) == job.NotFound {
		return job.Actor{}, badKey(err)
	}
	if err != nil {
		return job.Actor{}, err
	}
	actor, err := s.Sessions.actorOf(ctx, u)
	if err != nil {
		return job.Actor{}, err
	}
	actor.Key = k.Grant()
	TrailOf(ctx).As(actor)
	s.note(k.ID)
	return actor, nil
}

func badKey(cause error) error {
	return job.Wrap(cause, job.Unauthenticated, job.WordTokenInvalid, "API key is not valid")
}

// verify finds the record of a good key. What can be told without the database is looked at first, so a forged key costs little.
func (s *APIKeys) verify(ctx context.Context, text string) (k job.APIKey, err error) {
	var c token.KeyClaims
	id, opaque := opaqueID(text)
	switch {
	case opaque:
	case strings.HasPrefix(text, opaquePrefix) || !LooksLikeKey(text):
		return k, badKey(ErrNotAKey)
	default:
		if c, err = s.Signer.Parse(text); errors.Is(err, token.ErrExpired) {
			return k, job.Wrap(err, job.Unauthenticated, job.WordTokenExpired, "API key has expired")
		}
		if err != nil {
			return k, badKey(err)
		}
		id = c.ID
	}
	if k, err = s.Store.APIKey(ctx, id); err != nil {
		if job.CodeOf(err) == job.NotFound {
			err = badKey(err)
		}
		return k, err
	}
	if opaque {
		if k.Form != job.KeyOpaque || subtle.ConstantTimeCompare([]byte(token.Hash(text)), []byte(k.Digest)) != 1 {
			return k, badKey(nil)
		}
	} else if err := sameKey(k, c); err != nil {
		return k, badKey(err)
	}
	if !k.ExpiresAt.After(s.Now()) {
		return k, job.Errorf(job.Unauthenticated, job.WordTokenExpired, "API key has expired")
	}
	return k, nil
}

// sameKey holds what a key that we signed says against its record.
func sameKey(k job.APIKey, c token.KeyClaims) error {
	switch {
	case k.Form != job.KeyJWT || k.Maker.ID != c.UserID:
		return errors.New("the record is of another key")
	case c.Org == "":
		return ErrKeyWithoutOrg
	case c.Org != k.Org:
		return errors.New("the key names another account")
	}
	return nil
}

// opaqueID reads the id out of what has the form of an opaque key.
func opaqueID(text string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(text, opaquePrefix)
	if !ok || len(text) > maxKeyOfCaller {
		return "", false
	}
	id, secret, ok := strings.Cut(rest, "_")
	return id, ok && job.ValidID(id) && len(secret) == opaqueSecret
}

func (s *APIKeys) note(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used == nil {
		s.used = map[string]time.Time{}
	}
	if _, known := s.used[id]; known || len(s.used) < keyUsesAtOnce {
		s.used[id] = s.Now().UTC().Truncate(time.Microsecond)
	}
}

// Flush notes the uses of keys that are not noted yet.
func (s *APIKeys) Flush(ctx context.Context) error {
	s.mu.Lock()
	used := s.used
	s.used = nil
	s.mu.Unlock()
	if len(used) == 0 {
		return nil
	}
	return s.Store.NoteAPIKeyUses(ctx, used)
}

// Run notes the uses of keys now and then, and those that are left when ctx ends: no call waits for it.
func (s *APIKeys) Run(ctx context.Context) {
	ticker := time.NewTicker(keyUsesEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			s.flush(last)
			return
		case <-ticker.C:
			s.flush(ctx)
		}
	}
}

func (s *APIKeys) flush(ctx context.Context) {
	if err := s.Flush(ctx); err != nil {
		s.Log.WarnContext(ctx, "the last use of API keys is not noted", "error", err)
	}
}

package control

import (
	"context"
	"slices"
	"strings"
	"time"

	"waybill/internal/job"
	"waybill/internal/secret"
)

// KeyUse is a sealing key and what it still seals.
type KeyUse struct {
	Number    int64
	ID        string
	CreatedAt time.Time
	Retired   time.Time // the next one was made; zero for the newest
	Masters   []string
	Sealed    map[string]int // by column
	Total     int
	Signed    int // API keys in JWT form that end with it
}

// List tells what keys there are, oldest first, and counts what they seal.
func (k *Keyring) List(ctx context.Context) ([]KeyUse, error) {
	stored, err := k.Store.SealingKeys(ctx)
	if err != nil {
		return nil, err
	}
	var uses []KeyUse
	for _, s := range stored {
		if n := len(uses); n > 0 && uses[n-1].Number == s.Number {
			uses[n-1].Masters = append(uses[n-1].Masters, s.Master)
			continue
		}
		if n := len(uses); n > 0 {
			uses[n-1].Retired = s.CreatedAt
		}
		uses = append(uses, KeyUse{Number: s.Number, ID: s.ID, CreatedAt: s.CreatedAt, Masters: []string{s.Master}, Sealed: map[string]int{}})
	}
	for i := range uses {
		if uses[i].Signed, err = k.Store.SignedAPIKeys(ctx, uses[i].ID, k.Now()); err != nil {
			return nil, err
		}
	}
	err = k.Store.EachSealed(ctx, func(place, text string) (string, error) {
		_, by := k.Box().Reseal(text)
		for i := range uses {
			uses[i].Sealed[place] += by[uses[i].ID]
			uses[i].Total += by[uses[i].ID]
		}
		return text, nil
	})
	return uses, err
}

// Rotate makes a new sealing key. It seals from now on in this process, and in others when they have seen it, within KeyRefresh.
func (k *Keyring) Rotate(ctx context.Context) (id string, err error) {
	masters, err := k.Masters()
	if err != nil {
		return "", err
	}
	stored, err := k.Store.SealingKeys(ctx)
	if err != nil {
		return "", err
	}
	newest := stored[len(stored)-1].Number
	for _, s := range stored {
		if s.Number == newest && !slices.ContainsFunc(masters, func(m secret.Keys) bool { return m.ID() == s.Master }) {
			return "", job.Errorf(job.Conflict, job.WordStale, "Processes may still use master key %s: give it, too, or drop it first", s.Master)
		}
	}
	key := secret.NewKey()
	if err := k.Store.AddSealingKeys(ctx, k.wrap(newest+1, key, masters)); err != nil {
		return "", err
	}
	return key.ID(), k.Refresh(ctx)
}

// Reseal seals everything with the newest key and counts it. It may be broken off and begun again at any time.
func (k *Keyring) Reseal(ctx context.Context) (n int, err error) {
	if err := k.Refresh(ctx); err != nil {
		return 0, err
	}
	newest := k.Ring.Newest()
	err = k.Store.EachSealed(ctx, func(_, text string) (string, error) {
		resealed, by := k.Box().Reseal(text)
		for id, count := range by {
			if id != newest {
				n += count
			}
		}
		return resealed, nil
	})
	return n, err
}

// Drop deletes a sealing key for good. One that seals something, or may be used by a process that has not seen the next one, is
// not dropped; nor, unless forced, one whose access tokens may still be in use or that signed API keys, which then end.
func (k *Keyring) Drop(ctx context.Context, id string, force bool) error {
	uses, err := k.List(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(uses, func(u KeyUse) bool { return u.ID == id })
	if i < 0 {
		return job.Errorf(job.NotFound, job.WordNotFound, "There is no key %s", id)
	}
	u, age := uses[i], time.Duration(0)
	if !u.Retired.IsZero() {
		age = k.Now().Sub(u.Retired)
	}
	switch {
	case u.Retired.IsZero():
		return job.Errorf(job.Conflict, job.WordStale, "Key %s is the one that seals; make a new one first", id)
	case !k.Ring.Has(id):
		return job.Errorf(job.Conflict, job.WordStale, "What key %s seals can not be told: its master key %s is not here", id, strings.Join(u.Masters, " or "))
	case u.Total > 0:
		return job.Errorf(job.Conflict, job.WordStale, "Key %s still seals %d values; reseal them first", id, u.Total)
	case age < 3*KeyRefresh:
		return job.Errorf(job.Conflict, job.WordStale, "Processes may still seal with key %s; try again in %s", id, 3*KeyRefresh-age.Truncate(time.Second))
	case age < AccessLife && !force:
		return job.Errorf(job.Conflict, job.WordStale, "Access tokens signed with key %s may be in use for another %s; force it to end them", id, (AccessLife - age).Truncate(time.Second))
	case u.Signed > 0 && !force:
		return job.Errorf(job.Conflict, job.WordStale, "%d API keys are signed with key %s and end with it, and so do those that were made with them; force it to end them", u.Signed, id)
	}
	if err := k.Store.EndSignedAPIKeys(ctx, id); err != nil {
		return err
	}
	return k.Store.DropSealingKey(ctx, id)
}

// Adopt seals the sealing keys with the master keys that have none yet, and names those.
func (k *Keyring) Adopt(ctx context.Context) (added []string, err error) {
	masters, err := k.Masters()
	if err != nil {
		return nil, err
	}
	stored, err := k.Store.SealingKeys(ctx)
	if err != nil {
		return nil, err
	}
	keys := unwrap(stored, masters)
	var rows []SealingKey
	for _, m := range masters {
		was := len(rows)
		for number, key := range keys {
			if !slices.ContainsFunc(stored, func(s SealingKey) bool { return s.Number == number && s.Master == m.ID() }) {
				made := k.wrap(number, key, secret.Masters{m})
				for _, s := range stored { // the age of the key stays
					if s.Number == number {
						made[0].CreatedAt = s.CreatedAt
					}
				}
				rows = append(rows, made...)
			}
		}
		if len(rows) > was {
			added = append(added, m.ID())
		}
	}
	return added, k.Store.AddSealingKeys(ctx, rows)
}

package control

import (
	"context"
	"encoding/hex"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"waybill/internal/job"
	"waybill/internal/secret"
)

// SealingKey is a key that secrets are sealed with, itself sealed with one master key.
type SealingKey struct {
	Number    int64 // the highest seals
	ID        string
	Master    string // id of the master key
	Wrapped   string
	CreatedAt time.Time
}

// KeyStore keeps sealing keys and finds what they sealed.
type KeyStore interface {
	SignedKeys
	SealingKeys(ctx context.Context) ([]SealingKey, error)
	// AddSealingKeys stores all or none. A number and master that are taken: Conflict, WordStale.
	AddSealingKeys(ctx context.Context, keys []SealingKey) error
	DropSealingKey(ctx context.Context, id string) error
	// DropMaster deletes what is sealed with a master key. If a key would be lost by it: Conflict.
	DropMaster(ctx context.Context, master string) error
	// EachSealed shows every stored text that may hold something sealed and stores what see gives for it, unless the text was
	// changed meanwhile.
	EachSealed(ctx context.Context, see func(place, text string) (string, error)) error
}

// SignedKeys knows the API keys that are signed with a key derived from a sealing key.
type SignedKeys interface {
	// SignedAPIKeys counts those that have not expired.
	SignedAPIKeys(ctx context.Context, sealing string, now time.Time) (int, error)
	// EndSignedAPIKeys deletes them.
	EndSignedAPIKeys(ctx context.Context, sealing string) error
}

// Keyring is the keys of an installation (ADR 0010): sealing keys, of which the newest seals and all open, in the database, each
// sealed with the master keys that processes are started with.
type Keyring struct {
	Store   KeyStore
	Marks   Marks
	Masters func() (secret.Masters, error) // as they are now
	Ring    *secret.Ring
	Now     Clock

	looks singleflight.Group
	last  time.Time // of the end of a look for a missing key; the look's own
}

// secretUse is what the boxes for stored secrets are made for.
const secretUse = "macros"

// Box seals and opens stored secrets.
func (k *Keyring) Box() secret.Box { return k.Ring.Box(secretUse) }

// Open reads the keys; the first process of an installation makes the first. It gives the keys that are never replaced, for what
// must stay the same. A process whose master keys open none of the sealing keys is refused.
func (k *Keyring) Open(ctx context.Context) (root secret.Keys, err error) {
	masters, err := k.Masters()
	if err != nil {
		return root, err
	}
	stored, err := k.Store.SealingKeys(ctx)
	if err == nil && len(stored) == 0 {
		if stored, err = k.begin(ctx, masters); err != nil {
			return root, err
		}
	}
	if err == nil {
		err = k.take(stored, masters)
	}
	if err != nil {
		return root, err
	}
	_, oldest := oldestOf(stored, masters)
	text, err := k.Marks.KeepMark(ctx, rootMark, k.Box().Seal(oldest.Text()))
	if err != nil {
		return root, err
	}
	return k.root(text)
}

// Look gives what Open gives, and makes nothing: before the first process of an installation has made its keys, NotFound.
func (k *Keyring) Look(ctx context.Context) (root secret.Keys, err error) {
	masters, err := k.Masters()
	if err != nil {
		return root, err
	}
	stored, err := k.Store.SealingKeys(ctx)
	if err != nil {
		return root, err
	}
	if len(stored) == 0 {
		return root, job.Errorf(job.NotFound, job.WordNotFound, "There are no keys yet")
	}
	if err := k.take(stored, masters); err != nil {
		return root, err
	}
	text, err := k.Marks.Mark(ctx, rootMark)
	if err == nil && text == "" {
		err = job.Errorf(job.NotFound, job.WordNotFound, "There is no root key yet")
	}
	if err != nil {
		return root, err
	}
	return k.root(text)
}

func (k *Keyring) root(text string) (root secret.Keys, err error) {
	if text, err = k.Box().Open(text); err != nil {
		return root, job.Wrap(err, job.Internal, job.WordInternal, "The installation's root key can not be opened")
	}
	return secret.ParseKeys(text)
}

// rootMark is the name of the mark that holds the root key, sealed.
const rootMark = "root-key"

// begin makes the first sealing key: the master key itself, which sealed everything before there were others.
func (k *Keyring) begin(ctx context.Context, masters secret.Masters) ([]SealingKey, error) {
	first := masters[len(masters)-1]
	if err := CheckMasterKey(ctx, k.Marks, hex.EncodeToString(first.Derive("fingerprint"))); err != nil {
		return nil, err
	}
	err := k.Store.AddSealingKeys(ctx, k.wrap(1, first, masters))
	if err != nil && job.CodeOf(err) != job.Conflict { // of two at once, one made it
		return nil, err
	}
	return k.Store.SealingKeys(ctx)
}

// wrap seals a key with every master key.
func (k *Keyring) wrap(number int64, key secret.Keys, masters secret.Masters) (rows []SealingKey) {
	for _, m := range masters {
		box, err := secret.NewBox(m, "sealing-key")
		if err != nil { // only for keys of a wrong size
			panic(err)
		}
		rows = append(rows, SealingKey{Number: number, ID: key.ID(), Master: m.ID(), Wrapped: box.Seal(key.Text()), CreatedAt: k.Now().UTC().Truncate(time.Microsecond)})
	}
	return rows
}

// unwrap opens what the master keys open.
func unwrap(stored []SealingKey, masters secret.Masters) map[int64]secret.Keys {
	box := masters.Ring().Box("sealing-key")
	found := map[int64]secret.Keys{}
	for _, s := range stored {
		text, err := box.Open(s.Wrapped)
		if err != nil {
			continue
		}
		if key, err := secret.ParseKeys(text); err == nil {
			found[s.Number] = key
		}
	}
	return found
}

func oldestOf(stored []SealingKey, masters secret.Masters) (number int64, key secret.Keys) {
	for n, k := range unwrap(stored, masters) {
		if number == 0 || n < number {
			number, key = n, k
		}
	}
	return number, key
}

// take puts the keys into the ring.
func (k *Keyring) take(stored []SealingKey, masters secret.Masters) error {
	found := unwrap(stored, masters)
	newest := stored[len(stored)-1]
	var keys []secret.Numbered
	for n, key := range found {
		keys = append(keys, secret.Numbered{Number: n, Keys: key})
	}
	if _, can := found[newest.Number]; !can {
		var need, have []string
		for _, s := range stored {
			if s.Number == newest.Number {
				need = append(need, s.Master)
			}
		}
		for _, m := range masters {
			have = append(have, m.ID())
		}
		return job.Errorf(job.Invalid, job.WordInvalidField, "the secrets in the database are sealed with another master key: it is %s that is needed, and %s is here",
			strings.Join(need, " or "), strings.Join(have, ", "))
	}
	k.Ring.Set(keys)
	return nil
}

// Refresh reads the keys anew: somebody may have made or dropped one.
func (k *Keyring) Refresh(ctx context.Context) error {
	masters, err := k.Masters()
	if err != nil {
		return err
	}
	stored, err := k.Store.SealingKeys(ctx)
	if err != nil || len(stored) == 0 {
		return err
	}
	return k.take(stored, masters)
}

// KeyRefresh is how often a process looks for keys that another one made.
const KeyRefresh = 10 * time.Second

// Run keeps the ring up to date. It returns when ctx ends or with the error of a process that has lost its right to the keys.
func (k *Keyring) Run(ctx context.Context, log *slog.Logger) error {
	k.Ring.OnMissing(func(string) { k.missing(log) })
	ticker := time.NewTicker(KeyRefresh)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		err := k.Refresh(ctx)
		if job.CodeOf(err) == job.Invalid {
			return err
		}
		if err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "the keys could not be read anew", "error", err)
		}
	}
}

// missing looks for a key that a text names and nobody here knows: made a moment ago. Anybody may name one, so all who miss one wait for
// the same look, and for a second after it nobody looks.
func (k *Keyring) missing(log *slog.Logger) {
	_, _, _ = k.looks.Do("", func() (any, error) {
		if time.Since(k.last) < time.Second {
			return nil, nil
		}
		ctx, done := context.WithTimeout(context.Background(), lookFor)
		defer done()
		err := k.Refresh(ctx)
		k.last = time.Now()
		if err != nil {
			log.WarnContext(ctx, "the keys could not be read anew", "error", err)
		}
		return nil, nil
	})
}

// lookFor bounds a look for a missing key: a call waits for it.
const lookFor = 5 * time.Second

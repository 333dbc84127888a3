package controltest

import (
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/rs/xid"

	"waybill/internal/archive"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/secret"
	"waybill/internal/token"
	"waybill/internal/webhook/guard"
)

// Store is the database ports the use cases need, and those by which a test plays the worker.
type Store interface {
	control.ConfigReader
	control.ConfigWriter
	control.FileStore
	control.FileLinks
	control.JobWriter
	control.JobReader
	control.Run
	control.Settlement
	control.Users
	control.AccountStore
	control.RetentionStore
	control.BlobKeeper
	control.DestinationStore
	control.PlaceStore
	control.WorkerRegistry
	control.Tokens
	control.Lockouts
	control.EventReader
	control.ScheduleStore
	control.FireStore
	control.ScheduleBacklog
	control.DeliveryStore
	control.DeliveryRun
	control.Outbox
	control.SubscriptionStore
	control.TalkReader
	control.RecordReader
	control.RecordWriter
	control.AuditStore
	control.UserStore
	control.DoorSessionStore
	control.APIKeyStore
	control.PolicyStore
	control.EndedJobs
	control.UserDirectory
	control.LoginHistory
	control.DocumentReader
	control.SharedScheduleStore
	control.SharedScheduleUse
}

// World is all use cases and what stands behind them.
type World struct {
	Ring     *secret.Ring // of API keys and refresh tokens
	Store    Store
	Objects  *Objects
	Logs     *Logs
	Engine   *Engine
	Configs  *control.Configs
	Files    *control.Files
	Jobs     *control.Jobs
	Sessions *control.Sessions
	Keys     *control.APIKeys
	Runs     *control.Runs
	Calls    *control.Calls
	Own      *control.AccountSettings // of the account itself
	Doors    *control.DoorSessions

	Places        *control.Places
	Destinations  *control.Destinations
	Workers       *control.Workers
	Feed          *control.Feed
	Deliveries    *control.Deliveries
	Subscriptions *control.Subscriptions
	Audit         *control.Audit
	Policies      *control.Policies
	People        *control.People

	Schedules       *control.Schedules
	SharedSchedules *control.SharedSchedules
	Fires           *control.Fires
	ScheduleEngine  *ScheduleEngine

	mu  sync.Mutex
	now time.Time
}

// Start is when every World begins: the time of the exchanges in the native API specification.
var Start = time.Date(2026, 3, 17, 9, 40, 58, 0, time.UTC)

// New puts a World together over an empty, migrated store, with account 1 and its admin "admin", "example-password".
func New(t testing.TB, store Store) *World {
	t.Helper()
	keys, err := secret.NewKeys(make([]byte, secret.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	box, err := secret.NewBox(keys, "macros")
	if err != nil {
		t.Fatal(err)
	}
	w := &World{Ring: secret.NewRing(secret.Numbered{Number: 1, Keys: keys}), Store: store, Objects: NewObjects(), Logs: NewLogs(), Engine: &Engine{}, now: Start}
	w.Objects.Now = w.Now
	w.Configs = &control.Configs{Reader: store, Writer: store, Destinations: store, Files: store, Sealer: box, Now: w.Now, NewID: newID}
	w.Files = &control.Files{
		Configs: w.Configs, Users: store, Links: store, Store: store, Blobs: store, Objects: w.Objects, Archives: archives{}, Spool: t.TempDir(), MaxSize: 1 << 30, Now: w.Now,
	}
	w.Jobs = &control.Jobs{
		Reader: store, Writer: store, Talk: store, Records: store, Past: store, Mending: store, Configs: w.Configs, Files: store, Users: store, Objects: w.Objects, Starter: w.Engine, Lanes: w.Engine, Logs: w.Logs,
		Sealer: box, Bell: control.NewBell(), Limits: control.Limits{Grace: 10 * time.Second, HeartbeatTimeout: 15 * time.Second},
		Now: w.Now, NewID: func() job.ID { return job.ID(newID()) }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	w.Sessions = &control.Sessions{
		Users: store, Tokens: store, Lockouts: store, History: store, Jobs: store, Passwords: Passwords{}, Signer: token.NewSigner(make([]byte, 32), w.Now),
		Refresher: token.NewRefresher(w.Ring.Derived("refresh-token")), Now: w.Now, NewFamily: newID,
	}
	w.Doors = &control.DoorSessions{Sessions: w.Sessions, Store: store, Now: w.Now}
	w.Keys = &control.APIKeys{
		Store: store, Sessions: w.Sessions, Configs: w.Configs, Signer: token.NewKeySigner(w.Ring.Derived("api-key"), w.Now),
		Now: w.Now, NewID: newID, Log: w.Jobs.Log,
	}
	w.People = &control.People{
		Users: store, Store: store, Directory: store, History: store, Jobs: store, Configs: store, Sessions: w.Sessions, Hasher: Passwords{}, Now: w.Now,
	}
	w.Places = &control.Places{Store: store, Now: w.Now}
	w.Runs = &control.Runs{Jobs: w.Jobs, Documents: store, Users: store}
	w.Calls = &control.Calls{Jobs: w.Jobs, Places: w.Places}
	w.Destinations = &control.Destinations{Store: store, Users: store, Places: w.Places, Now: w.Now}
	w.Workers = &control.Workers{Registry: store, Places: w.Places, Now: w.Now}
	w.Configs.Targets = guard.Guard{}
	w.Deliveries = &control.Deliveries{Store: store, Jobs: w.Jobs, Targets: guard.Guard{}, Now: w.Now, NewID: newID}
	w.Subscriptions = &control.Subscriptions{Store: store, Configs: w.Configs, Now: w.Now}
	w.Feed = &control.Feed{Events: store, Bell: w.Jobs.Bell, Log: w.Jobs.Log}
	w.Audit = &control.Audit{Store: store, Log: w.Jobs.Log, Now: w.Now}
	w.Policies = &control.Policies{Store: store, Users: store, Configs: store, Jobs: store, Now: w.Now}
	w.Sessions.Grants = store
	w.Own = &control.AccountSettings{Store: store, Retention: store}
	w.schedules(store, box)
	w.SharedSchedules = &control.SharedSchedules{Store: store, Use: store, Schedules: w.Schedules, Accounts: store, Now: w.Now}
	w.Account(t, "default", "admin", "example-password")
	return w
}

func newID() string {
	id := xid.New()
	return hex.EncodeToString(id[:])
}

// Now is the World's clock.
func (w *World) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Pass moves the clock.
func (w *World) Pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// User makes a user of account 1 who is no admin.
func (w *World) User(t testing.TB, name, password string) job.User {
	t.Helper()
	users := control.UserAdmin{Store: w.Store, Users: w.Store, Hasher: Passwords{}, Now: w.Now}
	u, err := users.Create(t.Context(), control.DefaultAccount, name, password, false)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Account makes an account with an admin.
func (w *World) Account(t testing.TB, name, admin, password string) job.Actor {
	t.Helper()
	a, u, err := w.Store.CreateAccount(t.Context(), job.Account{Name: name, CreatedAt: w.Now()}, "queue-"+name, job.User{
		Name: admin, PasswordHash: hash(password), Admin: true, Active: true, CreatedAt: w.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return job.Actor{AccountID: a.ID, User: u.Ref(), Admin: true}
}

// Take plays the worker that begins a job, and returns the fence to go on with.
func (w *World) Take(t testing.TB, account int64, id job.ID) int64 {
	t.Helper()
	fence := job.Fence(w.Now(), 1)
	if _, _, err := w.Store.Begin(t.Context(), account, id, fence, "worker-1", w.Now()); err != nil {
		t.Fatal(err)
	}
	if err := w.Store.Started(t.Context(), account, id, fence, "", w.Now()); err != nil {
		t.Fatal(err)
	}
	w.Jobs.Bell.Ring(id)
	return fence
}

// Finish plays the worker that ends a job it took.
func (w *World) Finish(t testing.TB, account int64, id job.ID, fence int64, o job.Outcome) {
	t.Helper()
	o.At = w.Now()
	if _, err := w.Store.Finish(t.Context(), account, id, fence, o); err != nil {
		t.Fatal(err)
	}
	w.Jobs.Bell.Ring(id)
}

// Exit is the outcome of a program that ended with the code.
func Exit(code int) job.Outcome {
	if code == 0 {
		return job.Outcome{Status: job.Completed, ReturnCode: &code}
	}
	return job.Outcome{Status: job.Failed, Reason: job.ReasonError, ReturnCode: &code, Message: "The program failed"}
}

// archives reads packages for real, under limits that suit tests.
type archives struct{}

func (archives) Is(key string) bool { return archive.IsArchive(key) }

func (archives) Inspect(ctx context.Context, r io.ReaderAt, size int64, key string) (job.Archive, error) {
	return archive.Inspect(ctx, r, size, key, archive.DefaultLimits)
}

// Passwords compares passwords almost as they are: argon2id is slow on purpose.
type Passwords struct{}

func hash(password string) string { return "plain:" + password }

// Hash is control.Hashing's.
func (Passwords) Hash(_ context.Context, password string) (string, error) { return hash(password), nil }

// Matches is control.Passwords's.
func (Passwords) Matches(_ context.Context, password, hashed string) (bool, error) {
	return hashed == hash(password), nil
}

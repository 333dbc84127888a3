package storagetest

import (
	"encoding/hex"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/xid"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/limit"
)

// Store is every port of internal/control that a database satisfies.
type Store interface {
	control.ConfigReader
	control.ConfigWriter
	control.FileStore
	control.FileLinks
	control.JobWriter
	control.JobReader
	control.Run
	control.Settlement
	control.Backlog
	control.Expiry
	control.LaneStore
	control.AdmittedJobs
	control.CancelBacklog
	control.Users
	control.AccountStore
	control.RetentionStore
	control.BlobKeeper
	control.DestinationStore
	control.PlaceStore
	control.WorkerRegistry
	control.KnownJobs
	control.Tokens
	control.Lockouts
	control.ScheduleStore
	control.FireStore
	control.ScheduleBacklog
	control.EventReader
	control.EventPurger
	control.TalkReader
	control.RecordReader
	control.RecordWriter
	control.DeliveryStore
	control.DeliveryRun
	control.Outbox
	control.SubscriptionStore
	control.Marks
	control.KeyStore
	control.AuditStore
	control.UserStore
	control.UserDirectory
	control.InactiveJobs
	control.LoginHistory
	control.APIKeyStore
	control.DocumentReader
	control.SweepStore
	control.DoorSessionStore
	limit.Shared
	control.PolicyStore
	control.EndedJobs
	control.SharedScheduleStore
	control.SharedScheduleUse
}

// RunStore checks the documented behaviour of the database ports. open returns an empty, migrated store of its own for
// each call and closes it when the test ends.
func RunStore(t *testing.T, open func(t *testing.T) Store) {
	for group, cases := range storeGroups {
		t.Run(group, func(t *testing.T) {
			t.Parallel()
			store := open(t)
			for name, check := range cases {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					check(t, newTenant(t, store))
				})
			}
		})
	}
	alone(t, "backlog", backlogCases, open)
	alone(t, "lane backlog", laneBacklogCases, open)
	alone(t, "purge", purgeCases, open)
	alone(t, "inactive", inactiveCases, open)
	alone(t, "calls", callCases, open)
	alone(t, "outbox", outboxCases, open)
	alone(t, "keys", keyCases, open)
	alone(t, "audit purge", auditPurgeCases, open)
	alone(t, "sweep", sweepCases, open)
	alone(t, "session purge", doorSessionPurgeCases, open)
	alone(t, "retention", retentionCases, open)
}

// alone runs cases that span accounts, each in a store of its own.
func alone(t *testing.T, group string, cases map[string]func(*testing.T, *tenant), open func(t *testing.T) Store) {
	t.Run(group, func(t *testing.T) {
		for name, check := range cases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				check(t, newTenant(t, open(t)))
			})
		}
	})
}

// storeGroups are the cases that may share a store: each works in an account of its own.
var storeGroups = map[string]map[string]func(*testing.T, *tenant){
	"configs":          configCases,
	"files":            fileCases,
	"links":            linkCases,
	"audit":            auditCases,
	"submit":           submitCases,
	"run":              runCases,
	"settle":           settleCases,
	"records":          recordCases,
	"talk":             talkCases,
	"rollups":          rollUpCases,
	"lanes":            laneCases,
	"lists":            listCases,
	"orders":           orderCases,
	"users":            userCases,
	"people":           peopleCases,
	"policies":         policyCases,
	"accounts":         accountCases,
	"tokens":           tokenCases,
	"sessions":         doorSessionCases,
	"api keys":         apiKeyCases,
	"runs":             runsCases,
	"documents":        documentCases,
	"shared schedules": sharedScheduleCases,
	"events":           eventCases,

	"deliveries": deliveryCases,

	"destinations": destinationCases,
	"workers":      workerCases,
	"schedules":    scheduleCases,
	"fires":        fireCases,
	"installation": installationCases,
}

// start is when the tests play; with microseconds, which both engines must keep.
var start = time.Date(2026, 3, 17, 9, 41, 0, 123456000, time.UTC)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

// tenant is an account with an admin and a config, alone in its test.
type tenant struct {
	Store
	account job.Account
	admin   job.User
	config  job.Config
	ticks   atomic.Int64
}

var tenants atomic.Int64

func newTenant(t *testing.T, store Store) *tenant {
	t.Helper()
	name := fmt.Sprintf("tenant-%d", tenants.Add(1))
	account, admin, err := store.CreateAccount(t.Context(), job.Account{Name: name, CreatedAt: start}, "queue-"+name,
		job.User{Name: "Admin of " + name, PasswordHash: "hash", Active: true, CreatedAt: start})
	if err != nil {
		t.Fatalf("CreateAccount: %v", err)
	}
	n := &tenant{Store: store, account: account, admin: admin}
	n.config = n.create(t, "sample config")
	return n
}

// other is a second account in the same store.
func (n *tenant) other(t *testing.T) *tenant {
	t.Helper()
	return newTenant(t, n.Store)
}

func (n *tenant) scope() job.Scope { return job.Scope{AccountID: n.account.ID} }

func newID() job.ID {
	id := xid.New()
	return job.ID(hex.EncodeToString(id[:]))
}

func (n *tenant) newConfig(name string) job.Config {
	return job.Config{
		ObjectID: string(newID()), AccountID: n.account.ID, Name: name, Active: true, Destination: n.account.Destination,
		Owner: n.admin.Ref(), CreatedAt: start, CreatedBy: n.admin.Ref(), ModifiedAt: start, ModifiedBy: n.admin.Ref(),
	}
}

func (n *tenant) create(t *testing.T, name string) job.Config {
	t.Helper()
	c, err := n.CreateConfig(t.Context(), n.newConfig(name))
	if err != nil {
		t.Fatalf("CreateConfig(%s): %v", name, err)
	}
	return c
}

// newJob makes a job of the tenant's config; each is scheduled a second after the one before. Several goroutines may call it.
func (n *tenant) newJob() job.Job {
	return job.Job{
		ID: newID(), AccountID: n.account.ID, ConfigID: n.config.ID, ConfigName: n.config.Name, OwnerID: n.admin.ID,
		Status: job.Queued, Destination: n.account.Destination, ScheduledAt: at(int(n.ticks.Add(1))), SubmittedBy: n.admin.Ref(),
		Spec: job.Spec{PackageName: "samplePackage.djar", PackageVersion: 1, EntryPoint: "integrateXYZ.process"},
	}
}

func (n *tenant) submit(t *testing.T, change ...func(*job.Job)) job.Job {
	t.Helper()
	j := n.newJob()
	for _, c := range change {
		c(&j)
	}
	stored, _, err := n.Submit(t.Context(), control.Submission{Job: j})
	if err != nil {
		t.Fatalf("Submit: %v", err)
	}
	return stored
}

// begun submits a job that a worker then has, with fence 1.
func (n *tenant) begun(t *testing.T, change ...func(*job.Job)) job.Job {
	t.Helper()
	j := n.submit(t, change...)
	j, _, err := n.Begin(t.Context(), n.account.ID, j.ID, 1, "worker-1", at(100))
	if err != nil {
		t.Fatalf("Begin: %v", err)
	}
	return j
}

// ended submits a job and ends it through a worker.
func (n *tenant) ended(t *testing.T, o job.Outcome, change ...func(*job.Job)) job.Job {
	t.Helper()
	j := n.begun(t, change...)
	if err := n.Started(t.Context(), n.account.ID, j.ID, 1, "", at(101)); err != nil {
		t.Fatalf("Started: %v", err)
	}
	j, err := n.Finish(t.Context(), n.account.ID, j.ID, 1, o)
	if err != nil {
		t.Fatalf("Finish: %v", err)
	}
	return j
}

func retryOf(parent job.ID) func(*job.Job) { return func(j *job.Job) { j.RetryOf = parent } }

func exit(code int) *int { return &code }

func completed() job.Outcome {
	return job.Outcome{Status: job.Completed, ReturnCode: exit(0), At: at(110)}
}

func failed() job.Outcome {
	return job.Outcome{Status: job.Failed, Reason: job.ReasonError, ReturnCode: exit(3), Message: "exit 3", At: at(110)}
}

// now reads a job as it stands.
func (n *tenant) now(t *testing.T, id job.ID) job.Job {
	t.Helper()
	j, err := n.Job(t.Context(), n.account.ID, id)
	if err != nil {
		t.Fatalf("Job(%s): %v", id, err)
	}
	return j
}

// refused checks the code and word of an error, and that its message is fit to be shown.
func refused(t *testing.T, err error, code job.Code, word job.Word) {
	t.Helper()
	if job.CodeOf(err) != code || job.WordOf(err) != word {
		t.Errorf("error = %v (%s, %s), want %s, %s", err, job.CodeOf(err), job.WordOf(err), code, word)
	}
	if err == nil {
		return
	}
	message, _, _ := strings.Cut(err.Error(), ": ")
	for _, leak := range []string{"SELECT", "INSERT", "UPDATE", "SQL", "constraint"} {
		if strings.Contains(message, leak) {
			t.Errorf("message %q shows %q", message, leak)
		}
	}
}

func says(t *testing.T, err error, want string) {
	t.Helper()
	var e *job.Error
	if !asError(err, &e) || e.Message != want {
		t.Errorf("error = %v, want message %q", err, want)
	}
}

func absent(t *testing.T, err error) {
	t.Helper()
	refused(t, err, job.NotFound, job.WordNotFound)
}

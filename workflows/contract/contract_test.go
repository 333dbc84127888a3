package contract

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"waybill/internal/job"
)

// write makes missing golden files: `go test ./workflows/contract -write`. It never changes one that is there.
var write = flag.Bool("write", false, "write golden files that are missing")

const id job.ID = "69b9209b00000000000000c1"

var (
	code    = 3
	started = time.Date(2026, 3, 17, 9, 41, 47, 250_000_000, time.UTC)
	place   = job.RetentionPlace{Finished: 1_773_740_460_000_000, Job: id}
	mark    = job.RetentionMark{Account: 7, Floor: place, Config: 44, Bound: place, At: place, Done: true}
	purged  = job.Purged{Jobs: 1, Histories: 2, Objects: 3, Bytes: 4, Versions: 5, Failed: 6}
	input   = JobInput{
		JobID: id, AccountID: 7, ConfigID: 44, ConfigName: "orders",
		Root: "69b9209b00000000000000a1", Parent: "69b9209b00000000000000b2", TaskQueue: "acme-default",
		Timeout: time.Minute, Grace: 10 * time.Second, HeartbeatTimeout: 15 * time.Second,
	}
)

// goldens are payloads and the files with their JSON. Histories hold this JSON for as long as Temporal keeps them, so
// contracts are additive only: a golden file never changes and its value always means the same. A new field gets a new
// entry here (JobInput.2, and so on) and must be left out of the JSON when it is zero, so that the old entries still hold.
var goldens = map[string]any{
	"JobInput":          input,
	"JobInput.least":    JobInput{JobID: id, AccountID: 7, ConfigID: 44, TaskQueue: "acme-default"},
	"JobResult":         JobResult{JobID: id, Status: job.Failed, Reason: job.ReasonError, ReturnCode: &code},
	"JobResult.least":   JobResult{JobID: id, Status: job.Completed},
	"JobStatus":         JobStatus{JobID: id, Status: job.Failed, Reason: job.ReasonError, Worker: "w1", Attempt: 2, ExitCode: &code},
	"JobStatus.least":   JobStatus{JobID: id, Status: job.Queued},
	"Started":           Started{Worker: "w1", Attempt: 2},
	"RetryInput":        RetryInput{Job: input},
	"ExecuteInput":      ExecuteInput{JobID: id, AccountID: 7, RunStarted: started, Timeout: time.Minute, Grace: 10 * time.Second},
	"ExecuteInput.run":  ExecuteInput{JobID: id, AccountID: 7, RunStarted: started, RunID: "run", Grace: 10 * time.Second},
	"Progress":          Progress{Fence: 1 << 60, LogBytes: 4096},
	"SettleInput":       SettleInput{JobID: id, AccountID: 7, RunStarted: started, Status: job.Failed, Reason: job.ReasonWorkerLost, Message: "lost"},
	"SettleInput.least": SettleInput{JobID: id, AccountID: 7, RunStarted: started, Status: job.Cancelled},
	"RollUpInput":       RollUpInput{JobID: id, AccountID: 7},

	"JobInput.lane": JobInput{
		JobID: id, AccountID: 7, ConfigID: 44, TaskQueue: "acme-default", Lane: "config:44", LaneSeq: 12, Waiting: true,
		QueueUntil: started, Deadline: started.Add(time.Hour), RunNumber: 12, RetryNumber: 1, Destination: 3, Trigger: job.TriggerRetry,
		Tags: []string{"nightly"},
	},
	"ExecuteInput.deadline": ExecuteInput{JobID: id, AccountID: 7, RunStarted: started, Grace: 10 * time.Second, Deadline: started.Add(time.Hour)},
	"LaneInput":             LaneInput{AccountID: 7, Lane: "config:44", Told: []job.ID{id}},
	"AdvanceInput":          AdvanceInput{AccountID: 7, Lane: "config:44", Told: []job.ID{id}},
	"LaneStatus": LaneStatus{
		Lane: "config:44", Places: 1, Active: 1, Waiting: 1, More: true, Head: []job.ID{id}, Told: []job.ID{id}, Untold: 1,
	},
	"LaneStatus.least":  LaneStatus{Lane: "config:44", Places: 1},
	"Place":             Place{Lane: "config:44", LaneWorkflow: "lane-7-config:44", Waiting: true, Position: 2, Seq: 12},
	"Place.least":       Place{},
	"JobProgress":       JobProgress{JobID: id, Phase: "program", Since: started, Attempt: 2, Worker: "w1", QueueUntil: started, Deadline: started},
	"JobProgress.least": JobProgress{JobID: id, Phase: "worker", Since: started},
	"PokeInput":         PokeInput{AccountID: 7, Lane: "config:44"},
	"ExpireInput":       ExpireInput{JobID: id, AccountID: 7, RunStarted: started, Limit: LimitQueue},
	"ExpireResult":      ExpireResult{Ended: true, Job: JobResult{JobID: id, Status: job.Failed, Reason: job.ReasonTimeout}},

	"DeliverInput":          DeliverInput{ID: "69b9209b00000000000000d1", AccountID: 7, JobID: id, Round: 2, Mail: true, Slow: true},
	"DeliverInput.least":    DeliverInput{ID: "69b9209b00000000000000d1", AccountID: 7, Round: 1},
	"DeliverResult":         DeliverResult{Status: job.DeliveryFailed, Code: 404, Attempts: 3, Error: "HTTP 404"},
	"EndDeliveryInput":      EndDeliveryInput{ID: "69b9209b00000000000000d1", Round: 2, Error: "Cancelled by an operator"},
	"ReconcilerInput":       ReconcilerInput{Turn: time.Hour},
	"ReconcilerInput.least": ReconcilerInput{},
	"ReconcileInput":        ReconcileInput{Turn: time.Hour},
	"ReconcileResult":       ReconcileResult{Passes: 3},
	"ReconcileProgress":     ReconcileProgress{Worker: "w1", Since: started, Passes: 3, Last: started.Add(time.Second), Faults: 1},

	"RetentionInput":       RetentionInput{Started: started, Mark: mark, Deleted: purged},
	"RetentionInput.least": RetentionInput{},
	"RetentionResult":      RetentionResult{Deleted: purged},
	"PurgeInput":           PurgeInput{Started: started, Mark: mark},
	"PurgeResult":          PurgeResult{Mark: mark, Deleted: purged},

	"FireInput":           FireInput{AccountID: 7, ConfigID: 44},
	"FireInput.quiet":     FireInput{AccountID: 7, ConfigID: 44, Paused: true, End: started},
	"TakeFireInput":       TakeFireInput{AccountID: 7, ConfigID: 44, At: started, Started: started.Add(time.Second)},
	"TakeFireInput.quiet": TakeFireInput{AccountID: 7, ConfigID: 44, At: started, Started: started.Add(time.Second), Paused: true, End: started},
	"Fired":               Fired{Outcome: "started", Message: "why", JobID: id, At: started, Job: &input, Status: job.Completed},
	"Fired.least":         Fired{Outcome: FireNotDue, At: started},
	"LookAtJobInput":      LookAtJobInput{AccountID: 7, JobID: id},
}

func TestPayloadsKeepTheirJSON(t *testing.T) {
	t.Parallel()
	for name, value := range goldens {
		path := filepath.Join("testdata", name+".json")
		now, err := json.MarshalIndent(value, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		now = append(now, '\n')
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) && *write {
			text, err = now, os.WriteFile(path, now, 0o644)
		}
		if err != nil {
			t.Errorf("%v (a new golden is written by -write)", err)
			continue
		}
		if !bytes.Equal(text, now) {
			t.Errorf("%s: the JSON of the value changed to\n%s", path, now)
		}
		decoded := reflect.New(reflect.TypeOf(value))
		strict := json.NewDecoder(bytes.NewReader(text))
		strict.DisallowUnknownFields() // a member that nobody reads any more was renamed or removed
		if err := strict.Decode(decoded.Interface()); err != nil {
			t.Errorf("%s: %v", path, err)
		} else if !reflect.DeepEqual(decoded.Elem().Interface(), value) {
			t.Errorf("%s: reads as %+v, want %+v", path, decoded.Elem().Interface(), value)
		}
	}
}

func TestEveryGoldenFileIsChecked(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, path := range files {
		if _, ok := goldens[strings.TrimSuffix(filepath.Base(path), ".json")]; !ok {
			t.Errorf("%s has no value to be compared with: goldens are never taken back", path)
		}
	}
}

func TestEveryFieldOfEveryPayloadIsInAGolden(t *testing.T) {
	t.Parallel()
	seen := map[string]map[string]bool{}
	for _, value := range goldens {
		v := reflect.ValueOf(value)
		fields := seen[v.Type().Name()]
		if fields == nil {
			fields = map[string]bool{}
			seen[v.Type().Name()] = fields
		}
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				fields[v.Type().Field(i).Name] = true
			}
		}
	}
	declared := payloads(t)
	for name, fields := range declared {
		for _, field := range fields {
			if !seen[name][field] {
				t.Errorf("no golden sets %s.%s", name, field)
			}
		}
	}
	if len(declared) < 9 {
		t.Errorf("only %d payloads found in the source", len(declared))
	}
}

// payloads reads the struct types of the package and their fields from its source.
func payloads(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range s.Fields.List {
					for _, name := range field.Names {
						found[spec.Name.Name] = append(found[spec.Name.Name], name.Name)
					}
				}
			}
			return true
		})
	}
	return found
}

// The names are in histories, schedules and people's scripts.
func TestNamesNeverChange(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		JobWorkflow: "Job", RetryWorkflow: "Retry",
		ExecutePackage: "ExecutePackage", SettleJob: "SettleJob", RollUpRetry: "RollUpRetry",
		QueryStatus: "status", SignalStarted: "started",
		RetentionWorkflow: "Retention", PurgeJobs: "PurgeJobs", PurgePackages: "PurgePackages", RetentionID: "retention",
		ReconcilerWorkflow: "Reconciler", Reconcile: "Reconcile", ReconcilerID: "reconciler",
		ErrHandedOver: "HandedOver", ErrInterrupted: "Interrupted",
		ErrAttemptFailed: "AttemptFailed", ErrFenced: "Fenced", ErrJobFailed: "JobFailed",
		AttrAccount: "WaybillAccount", AttrJobConfig: "WaybillJobConfig", AttrJob: "WaybillJob",
		AttrStatus: "WaybillStatus", AttrRootJob: "WaybillRootJob", AttrParentJob: "WaybillParentJob",
		AttrDestination: "WaybillDestination", AttrTrigger: "WaybillTrigger", AttrLane: "WaybillLane", AttrTags: "WaybillTags",
		LaneWorkflow: "Lane", AdvanceLane: "AdvanceLane", PokeLane: "PokeLane", ExpireJob: "ExpireJob",
		SignalAdmitted: "admitted", SignalPoke: "poke", QueryProgress: "progress", QueryPosition: "position",
		string(LimitQueue): "queue", string(LimitTotal): "total", SystemQueue: "waybill", StatusQueue("x"): "x-status",
		LaneWorkflowID(7, "config:44"): "lane-7-config:44", LaneWorkflowID(7, "key:ä b"): "lane-7-digest:d4b1b0766af132639285330deaf9362c",
		MemoJobConfig: "jobConfig", JobWorkflowID("x"): "job-x", RetryWorkflowID("x"): "retry-x",
	} {
		if got != want {
			t.Errorf("%q was %q", got, want)
		}
	}
	if len(SearchAttributes) != 9 || len(SearchAttributeLists) != 1 {
		t.Errorf("search attributes to register: %v, %v", SearchAttributes, SearchAttributeLists)
	}
}

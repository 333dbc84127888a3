package engine

import (
	"strconv"
	"strings"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"waybill/internal/job"
	"waybill/internal/secret"
)

// eventually tries until a deadline.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for over := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(over) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// A namespace of its own, because others' workflows and schedules would be counted.
func ownNamespace(t *testing.T) string {
	t.Helper()
	c, err := Dial(t.Context(), Options{Address: temporalAddress(t), Namespace: "default"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	name := "engine-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	_, err = c.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: name, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace is known", func() bool {
		_, err := c.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Namespace: name})
		return err == nil
	})
	return name
}

func TestAKeyIsNeededByOpenWorkflowsAndSchedules(t *testing.T) {
	old, newer := secret.NewKey(), secret.NewKey()
	r := ring(old)
	h := Histories{Namespace: ownNamespace(t), Codec: codecOf(r, true)}
	var err error
	if h.Client, err = Dial(t.Context(), Options{Address: temporalAddress(t), Namespace: h.Namespace, Codec: h.Codec}); err != nil {
		t.Fatal(err)
	}
	defer h.Client.Close()
	_, err = h.Client.ScheduleClient().Create(t.Context(), client.ScheduleOptions{
		ID: "s", Spec: client.ScheduleSpec{}, Paused: true,
		Action: &client.ScheduleWorkflowAction{
			ID: "scheduled", Workflow: "Wait", TaskQueue: "none", Args: []any{"very-private"}, Memo: map[string]any{"m": "private too"}, StaticSummary: "private as well",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, end := openWorkflow(t, h.Client, "very-private")
	setKeys(r, old, newer)
	retired := time.Now()
	open := func() int64 {
		n, err := h.OpenSince(t.Context(), retired)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	eventually(t, "the open workflow is counted", func() bool { return open() == 1 })
	if n, err := h.OpenSince(t.Context(), retired.Add(-time.Hour)); err != nil || n != 0 {
		t.Errorf("%d workflows are older than they are, %v", n, err)
	}
	count := func(key secret.Keys) int {
		n, err := h.SchedulesOf(t.Context(), key.ID())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(old); n != 1 {
		t.Errorf("%d schedules hold the old key", n)
	}
	if n, err := h.ResealSchedules(t.Context()); err != nil || n != 1 {
		t.Errorf("%d schedules were sealed anew, %v", n, err)
	}
	eventually(t, "the schedule is sealed anew", func() bool { return count(old) == 0 && count(newer) == 1 })
	if n, err := h.ResealSchedules(t.Context()); err != nil || n != 0 {
		t.Errorf("%d schedules were sealed anew a second time, %v", n, err)
	}
	s, err := h.Client.WorkflowService().DescribeSchedule(t.Context(), &workflowservice.DescribeScheduleRequest{Namespace: h.Namespace, ScheduleId: "s"})
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, list := range payloadsOf(s.GetSchedule()) {
		opened, err := codecOf(ring(newer), true).Decode(list)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range opened {
			texts = append(texts, string(p.GetData()))
		}
	}
	if got := strings.Join(texts, " "); got != `"very-private" "private too" "private as well"` {
		t.Errorf("the schedule holds %s", got)
	}
	end() // with both keys
	eventually(t, "the workflow has ended", func() bool { return open() == 0 })
}

func TestANamespaceIsPreparedOrTheCommandForItTold(t *testing.T) {
	name := ownNamespace(t)
	o := Options{Address: temporalAddress(t), Namespace: name}
	c, err := Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	missing, err := missingAttributes(t.Context(), c, o)
	if err != nil || len(missing) == 0 {
		t.Fatalf("missing at first: %v, %v", missing, err)
	}
	for range 2 { // others may have done it
		if err := Prepare(t.Context(), c, o); err != nil {
			t.Fatal(err)
		}
	}
	if missing, err := missingAttributes(t.Context(), c, o); err != nil || len(missing) > 0 {
		t.Errorf("missing in the end: %v, %v", missing, err)
	}
	o.Namespace = "no-such-namespace"
	if err := Prepare(t.Context(), c, o); job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), "namespace create --address "+o.Address) {
		t.Errorf("a namespace that is not there: %v", err)
	}
}

func TestTemporalCloudIsKnownByItsNames(t *testing.T) {
	for address, want := range map[string]string{
		"orders.a1b2c.tmprl.cloud:7233":      "tcld namespace search-attributes add --namespace n --search-attribute WaybillJob=Keyword",
		"eu-west-1.aws.api.temporal.io:7233": "tcld namespace search-attributes add --namespace n --search-attribute WaybillJob=Keyword",
		"temporal.example.com:7233":          "temporal operator search-attribute create --address temporal.example.com:7233 --namespace n --name WaybillJob --type Keyword",
		"tmprl.cloud.example.com:7233":       "temporal operator search-attribute create --address tmprl.cloud.example.com:7233 --namespace n --name WaybillJob --type Keyword",
	} {
		o := Options{Address: address, Namespace: "n"}
		if got := o.makeAttributes(map[string]enumspb.IndexedValueType{"WaybillJob": enumspb.INDEXED_VALUE_TYPE_KEYWORD}); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
}

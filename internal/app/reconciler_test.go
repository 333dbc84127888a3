package app

import (
	"slices"
	"testing"

	"go.temporal.io/sdk/client"

	"waybill/internal/app/settings"
	"waybill/internal/secret"
	"waybill/workflows/starter"
)

// newWorker makes the reconciler of every process, whatever its role, and nobody else adds to it.
func TestTheReconcilerHasItsDutiesInEveryProcess(t *testing.T) {
	t.Parallel()
	engine, err := client.NewLazyClient(client.Options{HostPort: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	p := newParts(settings.Settings{}, quiet())
	p.temporal, p.keys = engine, secret.NewKey()
	box, err := secret.NewBox(p.keys, "test")
	if err != nil {
		t.Fatal(err)
	}
	var has []string
	for _, d := range p.newReconciler(box, starter.New(engine, starter.Config{})).Duties {
		if d.Name == "" || slices.Contains(has, d.Name) {
			t.Errorf("the duty %q has no name of its own", d.Name)
		}
		has = append(has, d.Name)
	}
	for _, want := range []string{
		"keeping of lanes", "telling of places in lanes", "passing on of cancels", "schedule of the retention", "look for workflows without jobs",
		"old events", "old entries of the audit log", "counters",
	} {
		if !slices.Contains(has, want) {
			t.Errorf("there is no duty %q among %q", want, has)
		}
	}
}

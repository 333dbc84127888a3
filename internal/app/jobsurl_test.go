package app

import (
	"log/slog"
	"testing"

	"waybill/internal/app/settings"
)

// Clients' address of the API may lead nowhere from where programs run.
func TestProgramsHaveAnAddressOfTheirOwn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ base, jobs, want string }{
		{"", "", ""},
		{"https://waybill.example.com", "", "https://waybill.example.com"},
		{"http://localhost:8080", "http://balancer:8080", "http://balancer:8080"},
		{"", "http://balancer:8080", "http://balancer:8080"},
	} {
		p := newParts(settings.Settings{BaseURL: c.base, JobsURL: c.jobs}, slog.New(slog.DiscardHandler))
		if got := p.programsURL(); got != c.want {
			t.Errorf("base-url %q, jobs-url %q: programs call %q, want %q", c.base, c.jobs, got, c.want)
		}
		if got := p.url(); got != c.base {
			t.Errorf("jobs-url %q: clients are told %q, want %q", c.jobs, got, c.base)
		}
	}
}

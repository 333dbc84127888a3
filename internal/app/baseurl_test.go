package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"waybill/internal/app/settings"
)

// Any process delivers callbacks, so all need the same address of the API, and one on components of others can not find it out.
func TestProcessesWithoutTheAddressOfTheAPISaySo(t *testing.T) {
	t.Parallel()
	start := map[string]func(settings.Settings, *slog.Logger) error{
		"api": func(s settings.Settings, log *slog.Logger) error { return (&API{parts: newParts(s, log)}).external() },
		"worker": func(s settings.Settings, log *slog.Logger) error {
			return (&Worker{parts: newParts(s, log)}).find(t.Context())
		},
	}
	for role, begin := range start {
		for url, told := range map[string]bool{"": true, "https://waybill.example.com": false} {
			s := settings.Settings{BaseURL: url}
			s.Database.URL, s.S3.Endpoint, s.Temporal.Address = "postgres://db/waybill", "s3:9000", "temporal:7233"
			var log bytes.Buffer
			if err := begin(s, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(log.String(), "--base-url"); got != told {
				t.Errorf("%s with base-url %q: %q", role, url, log.String())
			}
		}
	}
}

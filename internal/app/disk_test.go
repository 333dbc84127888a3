package app

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"waybill/internal/job"
)

func TestADiskIsFullBelowTheLeastAndHasRoomATenthAboveIt(t *testing.T) {
	t.Parallel()
	free, broken := uint64(5000), error(nil)
	d := &disk{dir: "work", min: 1000, free: func(string) (uint64, error) { return free, broken }, log: slog.New(slog.DiscardHandler)}
	for _, step := range []struct {
		name          string
		free          uint64
		broken        error
		changed, full bool
		seen          uint64
	}{
		{"there is room", 5000, nil, false, false, 5000},
		{"just enough", 1000, nil, false, false, 1000},
		{"a byte less", 999, nil, true, true, 999},
		{"still", 0, nil, false, true, 0},
		{"as much as the least", 1000, nil, false, true, 1000},
		{"nearly a tenth more", 1099, nil, false, true, 1099},
		{"what can not be found out changes nothing", 5000, errors.New("gone"), false, true, 1099},
		{"a tenth more", 1100, nil, true, false, 1100},
		{"between the two", 1050, nil, false, false, 1050},
	} {
		free, broken = step.free, step.broken
		changed := d.look(t.Context())
		if changed != step.changed || d.full.Load() != step.full || d.seen.Load() != step.seen {
			t.Errorf("%s: changed %t, full %t, %d free", step.name, changed, d.full.Load(), d.seen.Load())
		}
		want := ""
		if step.full {
			want = job.NoteDiskFull
		}
		if d.note() != want {
			t.Errorf("%s: the registry is told %q, want %q", step.name, d.note(), want)
		}
	}
}

func TestWithoutALeastTheDiskIsNeverFull(t *testing.T) {
	t.Parallel()
	for _, least := range []int64{0, -1} {
		d := newDisk(t.TempDir(), least, slog.New(slog.DiscardHandler))
		d.free = func(string) (uint64, error) { return 0, nil }
		if d.look(t.Context()) || d.full.Load() {
			t.Errorf("with %d a disk without a byte is full", least)
		}
	}
}

func TestReadyzOfAWorkerTellsOfAFullDisk(t *testing.T) {
	t.Parallel()
	d := newDisk(t.TempDir(), 1000, slog.New(slog.DiscardHandler))
	ask := func() (int, string, map[string]string) {
		w := httptest.NewRecorder()
		readiness(nil, d, func() bool { return true })(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		var body struct {
			Status string
			Checks map[string]string
		}
		text, _ := io.ReadAll(w.Body)
		if err := json.Unmarshal(text, &body); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return w.Code, body.Status, body.Checks
	}
	for _, c := range []struct {
		free   uint64
		status int
		word   string
		disk   string
	}{{5000, 200, "up", "up"}, {10, 503, "down", "full"}, {5000, 200, "up", "up"}} {
		d.free = func(string) (uint64, error) { return c.free, nil }
		d.look(t.Context())
		if status, word, checks := ask(); status != c.status || word != c.word || checks["disk"] != c.disk {
			t.Errorf("with %d bytes free: %d %s %v", c.free, status, word, checks)
		}
	}
}

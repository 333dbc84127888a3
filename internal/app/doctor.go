package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"waybill/internal/app/settings"
	"waybill/internal/job"
)

// Level is how bad a finding is.
type Level string

// The levels.
const (
	LevelOK   Level = "ok"
	LevelWarn Level = "warn"
	LevelFail Level = "fail"
)

// Finding is what the doctor says of one thing. The ids are part of the interface (docs/doctor.md).
type Finding struct {
	ID      string `json:"id"`
	Level   Level  `json:"level"`
	Finding string `json:"finding"`
	Advice  string `json:"advice,omitempty"`
}

// doctorWithin bounds each check.
const doctorWithin = 15 * time.Second

// maxSkew is how far two clocks may be apart: tokens, cursors and signatures of requests depend on them.
const maxSkew = 5 * time.Second

// doctor examines an installation.
type doctor struct {
	parts
	keep sync.Mutex
	// clocks are those that were read, with the moment of this machine they were read at.
	clocks map[string]time.Duration
	seen   map[string][]Finding
	// claimed is whose the namespace is, if claimRead; mine is this installation, where its keys could be opened.
	claimed, mine string
	claimRead     bool
}

// Diagnose checks every dependency of the settings and says what to do. The checks run side by side, each bounded in time, and
// none depends on another. It changes nothing but a test object that it writes and deletes.
func Diagnose(ctx context.Context, s settings.Settings) []Finding {
	d := &doctor{parts: newParts(s, slog.New(slog.NewTextHandler(io.Discard, nil))), clocks: map[string]time.Duration{}, seen: map[string][]Finding{}}
	checks := []struct {
		name  string
		check func(context.Context) []Finding
	}{
		{"database", d.database}, {"objects", d.objectStore}, {"temporal", d.engine}, {"local", d.machine}, {"smtp", d.mail}, {"listen", d.ports},
	}
	var all sync.WaitGroup
	for _, c := range checks {
		all.Go(func() {
			limited, done := context.WithTimeout(ctx, doctorWithin)
			defer done()
			found := make(chan []Finding, 1)
			go func() { found <- c.check(limited) }()
			var list []Finding
			select {
			case list = <-found:
			case <-limited.Done(): // of a library that does not hear its context
				list = []Finding{{c.name + ".time", LevelFail, "no answer within " + doctorWithin.String(), "See whether the address is right and no firewall is in between."}}
			}
			d.keep.Lock()
			defer d.keep.Unlock()
			d.seen[c.name] = list
		})
	}
	all.Wait()
	d.keep.Lock()
	defer d.keep.Unlock()
	var list []Finding
	for _, c := range checks {
		list = append(list, d.seen[c.name]...)
	}
	return append(append(list, d.claim()...), d.skew()...)
}

// read notes a clock.
func (d *doctor) read(name string, at time.Time) {
	d.keep.Lock()
	defer d.keep.Unlock()
	d.clocks[name] = time.Until(at)
}

// said is an error as the doctor may show it: our own words, which hold no secrets, or a plain word of the kind.
func said(err error) string {
	var own *job.Error
	if errors.As(err, &own) {
		return own.Error()
	}
	return err.Error()
}

func fine(id, finding string) Finding { return Finding{ID: id, Level: LevelOK, Finding: finding} }
func odd(id, finding, advice string) Finding {
	return Finding{ID: id, Level: LevelWarn, Finding: finding, Advice: advice}
}
func bad(id, finding, advice string) Finding {
	return Finding{ID: id, Level: LevelFail, Finding: finding, Advice: advice}
}

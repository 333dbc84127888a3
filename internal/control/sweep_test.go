package control_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// aborts counts what uploads were asked to be ended.
type aborts struct{ before []time.Time }

func (a *aborts) AbortUploads(_ context.Context, before time.Time) (int, error) {
	a.before = append(a.before, before)
	return 1, nil
}

const grace = 7 * 24 * time.Hour

// swept is a world with three finished jobs and objects that nobody knows.
type swept struct {
	*retained
	uploads *aborts
	known   []string
	blob    string // strange, too
	strange []string
}

const fenceOfOutputs = 77

func newSwept(t *testing.T) *swept {
	t.Helper()
	r := newRetained(t, 3)
	r.Default = job.Retention{} // nothing is over
	s := &swept{retained: r, uploads: &aborts{}}
	r.Sweep = &control.Sweep{
		Store: r.Retention.Store.(control.SweepStore), Objects: r.World.Objects, Uploads: s.uploads, Grace: grace, Now: r.World.Now, Log: slog.New(slog.DiscardHandler),
	}
	for _, key := range s.keys(t) { // the jobs have no row of the outputs they are given here
		if strings.Contains(key, "/out/") {
			s.strange = append(s.strange, key)
		} else {
			s.known = append(s.known, key)
		}
	}
	const gone = job.ID("69b9209b00000000000000c1")
	for _, id := range r.jobs {
		s.known = append(s.known, s.put(t, job.LogPrefix(1, id)+"00000000000000000001-00000000000000000000"))
	}
	s.blob = s.put(t, job.BlobKey(1, strings.Repeat("ab", 32)))
	s.strange = append(s.strange,
		s.put(t, job.LogPrefix(1, gone)+"00000000000000000001-00000000000000000000"),
		s.put(t, job.OutputKey(1, gone, 3, "a/result.csv")),
		s.put(t, job.OutputKey(1, r.jobs[0], fenceOfOutputs, "of an attempt that was fenced off")),
	)
	return s
}

func (s *swept) put(t *testing.T, key string) string {
	t.Helper()
	if _, err := s.World.Objects.Put(t.Context(), key, strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	return key
}

func (s *swept) keys(t *testing.T) (keys []string) {
	t.Helper()
	if err := s.World.Objects.List(t.Context(), "", "", func(o control.Object) bool { keys = append(keys, o.Key); return true }); err != nil {
		t.Fatal(err)
	}
	return keys
}

var operator = job.Actor{AccountID: 1, User: job.UserRef{ID: 1, Name: "admin"}, Admin: true}

// other makes a config.
func (s *swept) other(t *testing.T) string {
	t.Helper()
	c, err := s.Configs.Create(t.Context(), operator, control.ConfigInput{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	return c.ObjectID
}

// run is a run of the retention, after some time.
func (s *swept) run(t *testing.T, after time.Duration) {
	t.Helper()
	s.Pass(after)
	if _, err := s.Packages(t.Context(), s.World.Now(), func() {}); err != nil {
		t.Fatal(err)
	}
}

func (s *swept) has(t *testing.T, when string, keys []string, want bool) {
	t.Helper()
	there := map[string]bool{}
	for _, k := range s.keys(t) {
		there[k] = true
	}
	for _, k := range keys {
		if there[k] != want {
			t.Errorf("%s: %s is there: %t, want %t", when, k, there[k], want)
		}
	}
}

func TestObjectsThatNoRowKnowsGoAfterTheGrace(t *testing.T) {
	s := newSwept(t)
	s.run(t, time.Hour)       // too young to be looked at
	s.run(t, 25*time.Hour)    // noted
	s.run(t, grace-time.Hour) // not over yet
	s.has(t, "before the grace is over", append(append(s.strange, s.known...), s.blob), true)
	s.run(t, 25*time.Hour) // deleted; of packages, given up
	s.has(t, "after the grace", s.strange, false)
	s.has(t, "after the grace", []string{s.blob}, true)
	s.run(t, 25*time.Hour) // packages go a day later
	s.has(t, "a day later", []string{s.blob}, false)
	s.has(t, "a day later", s.known, true)
	if len(s.uploads.before) == 0 || s.World.Now().Sub(s.uploads.before[0]) < 24*time.Hour {
		t.Errorf("uploads were ended before %v, want those a day old at the end of a round", s.uploads.before)
	}
}

// A database that was put back to an older copy knows less. Whoever notices in time and puts the newer one back loses nothing.
func TestWhatBecomesKnownAgainStays(t *testing.T) {
	s := newSwept(t)
	s.run(t, 25*time.Hour)
	upload := strings.Repeat("x", 100)
	s.run(t, grace+time.Hour) // the blob is given up
	config := s.other(t)
	f, err := s.Files.Add(t.Context(), operator, control.OfConfig(config), control.Upload{Key: "again.sh", Body: strings.NewReader(upload)})
	if err != nil {
		t.Fatal(err)
	}
	mine := job.BlobKey(1, f.SHA256)
	s.run(t, 25*time.Hour)
	s.run(t, grace+25*time.Hour)
	s.run(t, 25*time.Hour)
	s.has(t, "an upload that was stored", []string{mine}, true)
	s.has(t, "one that was not", []string{s.blob}, false)
	s.has(t, "the rest", s.known, true)
}

// The bytes of an upload that was broken off before its row are taken up by a repeat of it, even while they are given up.
func TestARepeatedUploadKeepsWhatWasGivenUp(t *testing.T) {
	s := newSwept(t)
	config, body := s.other(t), "the same bytes"
	f, err := s.Files.Add(t.Context(), operator, control.OfConfig(config), control.Upload{Key: "first.sh", Body: strings.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
	blob := job.BlobKey(1, f.SHA256)
	// As if the row had never been stored: only the sweep's own word is there.
	if err := s.Sweep.Store.GiveUpBlob(t.Context(), control.Blob{AccountID: 1, SHA256: f.SHA256}); err != nil {
		t.Fatal(err)
	}
	s.Pass(23 * time.Hour)
	if _, err := s.Files.Add(t.Context(), operator, control.OfConfig(config), control.Upload{Key: "second.sh", Body: strings.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
	s.run(t, 25*time.Hour)
	s.run(t, 25*time.Hour)
	s.has(t, "after a repeated upload", []string{blob}, true)
}

func TestWithoutGraceNothingIsSwept(t *testing.T) {
	s := newSwept(t)
	s.Sweep.Grace = 0
	for range 3 {
		s.run(t, 2*grace)
	}
	s.has(t, "without a grace", append(append(s.strange, s.known...), s.blob), true)
}

// A round is made in steps; each goes on where the one before it ended, in whichever process.
func TestASweepGoesOnWhereItEnded(t *testing.T) {
	s := newSwept(t)
	const many = 5600 // more than a step looks at
	for i := range many {
		s.put(t, job.OutputKey(1, "69b9209b00000000000000c2", 1, fmt.Sprintf("%05d", i)))
	}
	s.run(t, 25*time.Hour)
	mark, err := s.Sweep.Store.SweepMark(t.Context())
	if err != nil || mark.After == "" {
		t.Fatalf("after one step: %+v, %v; want a round that is not over", mark, err)
	}
	again := *s.Sweep // another process
	s.Sweep = &again
	s.run(t, time.Minute)
	if mark, err = s.Sweep.Store.SweepMark(t.Context()); err != nil || mark.After != "" || !mark.Finished.Equal(s.World.Now()) {
		t.Fatalf("after two: %+v, %v; want a round that ended now", mark, err)
	}
	s.run(t, time.Hour)
	if later, _ := s.Sweep.Store.SweepMark(t.Context()); later != mark {
		t.Errorf("an hour later: %+v, want a rest", later)
	}
}

// An operator who wants less than a day of grace waits for no day besides, but for packages.
func TestAShortGraceIsAlsoTheAgeAndTheRest(t *testing.T) {
	s := newSwept(t)
	s.Sweep.Grace = time.Minute
	fresh := s.strange[len(s.strange)-3:]
	s.run(t, 59*time.Second) // too young
	s.run(t, 61*time.Second) // noted
	s.run(t, 59*time.Second) // it rests
	s.has(t, "before the grace is over", slices.Concat(fresh, s.known, []string{s.blob}), true)
	s.run(t, 2*time.Second)
	s.has(t, "after the grace", s.strange, false)
	s.has(t, "after the grace", append(s.known, s.blob), true)
	if n := len(s.uploads.before); n == 0 || s.World.Now().Sub(s.uploads.before[n-1]) < 24*time.Hour {
		t.Errorf("uploads were ended that began before %v, want none younger than a day", s.uploads.before)
	}
}

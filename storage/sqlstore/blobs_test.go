package sqlstore

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// shelf is a config with files, on a clock that a test moves.
type shelf struct {
	t *testing.T
	*Store
	config job.Config
	clock  time.Time
	jobs   int
}

func eachShelf(t *testing.T, check func(t *testing.T, s *shelf)) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, store *Store) {
		s := &shelf{t: t, Store: store, clock: time.UnixMicro(1_773_740_460_000_000)}
		store.now = func() time.Time { return s.clock }
		s.config = inhabited(t, store)
		check(t, s)
	})
}

func (s *shelf) add(key, digest string) job.File {
	s.t.Helper()
	if err := s.HoldBlob(s.t.Context(), s.config.AccountID, digest); err != nil {
		s.t.Fatal(err)
	}
	f, err := s.AddFile(s.t.Context(), job.File{
		AccountID: s.config.AccountID, EntityType: job.EntityJobConfig, EntityID: s.config.ID, Key: key, SHA256: digest, CreatedAt: s.clock,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

func (s *shelf) remove(key string) {
	s.t.Helper()
	if err := s.DeleteFile(s.t.Context(), s.config.AccountID, job.EntityJobConfig, s.config.ID, key); err != nil {
		s.t.Fatal(err)
	}
}

// run stores a job that ran the version, and gives its id.
func (s *shelf) run(f job.File) job.ID {
	s.t.Helper()
	s.jobs++
	j, _, err := s.Submit(s.t.Context(), control.Submission{Job: job.Job{
		ID: job.ID("69b9209b000000000000" + []string{"aaaa", "bbbb", "cccc"}[s.jobs]), AccountID: s.config.AccountID, ConfigID: s.config.ID,
		ScheduledAt: s.clock, Spec: job.Spec{PackageName: f.Key, PackageVersion: f.Version, PackageSHA256: f.SHA256},
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	return j.ID
}

// after a time the retention comes by: it tells how many versions it deleted and which digests it doomed.
func (s *shelf) after(d time.Duration) (versions int, doomed []string) {
	s.t.Helper()
	s.clock = s.clock.Add(d)
	_, versions, err := s.ExpireVersions(s.t.Context(), 10)
	if err != nil {
		s.t.Fatal(err)
	}
	blobs, _, err := s.ExpireBlobs(s.t.Context(), 10)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, b := range blobs {
		doomed = append(doomed, b.SHA256)
	}
	return versions, doomed
}

func (s *shelf) want(what string, d time.Duration, versions int, doomed ...string) {
	s.t.Helper()
	v, b := s.after(d)
	if v != versions || strings.Join(b, " ") != strings.Join(doomed, " ") {
		s.t.Errorf("%s: %d versions, doomed %v; want %d, %v", what, v, b, versions, doomed)
	}
}

const aDay = purgeGrace + time.Second

func TestVersionsOfADeletedKeyGoAfterADayAndTheirBytesAfterAnother(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		s.add("a.sh", "d1")
		s.add("a.sh", "d2")
		s.add("b.sh", "d2") // the same bytes under a living key
		s.want("while the key lives", aDay, 0)
		s.remove("a.sh")
		s.want("at once", time.Hour, 0)
		s.want("after a day", aDay, 2)
		if _, err := s.File(t.Context(), s.config.AccountID, job.EntityJobConfig, s.config.ID, "a.sh", 1); job.CodeOf(err) != job.NotFound {
			t.Errorf("version 1 is still there: %v", err)
		}
		s.want("after two days", aDay, 0, "d1")
		s.want("doomed, but not reported gone", time.Second, 0, "d1")
		if err := s.BlobGone(t.Context(), control.Blob{AccountID: s.config.AccountID, SHA256: "d1"}); err != nil {
			t.Fatal(err)
		}
		s.want("later", 10*aDay, 0)
		if f := s.add("a.sh", "d3"); f.Version != 3 {
			t.Errorf("the key comes back with version %d, want 3", f.Version)
		}
	})
}

func TestVersionsThatAJobRanAreKeptAsLongAsTheJob(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		id := s.run(s.add("a.sh", "d1"))
		s.remove("a.sh")
		s.want("with the job", aDay, 0)
		s.want("with the job, later", aDay, 0)
		if _, err := run(s.write.WithContext(t.Context()), "DELETE FROM jobs WHERE id = ?", string(id)); err != nil {
			t.Fatal(err)
		}
		s.want("without the job", aDay, 1)
		s.want("a day after that", aDay, 0, "d1")
	})
}

func TestAVersionThatAConfigPinsIsKept(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		s.add("a.sh", "d1")
		c := s.config
		c.Runtime.PackageName, c.Runtime.PackageVersion = "a.sh", 1
		if err := s.UpdateConfig(t.Context(), c, c.ModifiedAt); err != nil {
			t.Fatal(err)
		}
		s.remove("a.sh")
		s.want("while it is pinned", 2*aDay, 0)
		if err := s.DeleteConfigs(t.Context(), job.Scope{AccountID: c.AccountID}, []int64{c.ID}); err != nil {
			t.Fatal(err)
		}
		s.want("without the config", aDay, 1)
		s.want("a day after that", aDay, 0, "d1")
	})
}

func TestAKeyThatCameBackKeepsItsVersions(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		s.add("a.sh", "d1")
		s.remove("a.sh")
		s.add("a.sh", "d2")
		s.want("alive again", 3*aDay, 0)
	})
}

func TestBytesThatAreUploadedAgainAreKept(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		s.add("a.sh", "d1")
		s.remove("a.sh")
		s.want("versions", aDay, 1)
		s.clock = s.clock.Add(aDay)
		// An upload that is under way holds the bytes before it has a version.
		if err := s.HoldBlob(t.Context(), s.config.AccountID, "d1"); err != nil {
			t.Fatal(err)
		}
		s.want("held", 0, 0)
		s.add("b.sh", "d1")
		s.want("in use again", 2*aDay, 0)
		s.remove("b.sh")
		s.want("versions again", aDay, 1)
		s.want("bytes in the end", aDay, 0, "d1")
		// Now they are being deleted: an upload must come again.
		if err := s.HoldBlob(t.Context(), s.config.AccountID, "d1"); job.CodeOf(err) != job.Unavailable {
			t.Errorf("an upload of doomed bytes: %v, want unavailable", err)
		}
		if err := s.BlobGone(t.Context(), control.Blob{AccountID: s.config.AccountID, SHA256: "d1"}); err != nil {
			t.Fatal(err)
		}
		s.add("c.sh", "d1")
		s.want("the new bytes", 2*aDay, 0)
	})
}

func TestAJobStoredAfterItsVersionWentKeepsTheBytes(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		f := s.add("a.sh", "d1")
		s.remove("a.sh")
		s.want("versions", aDay, 1)
		s.run(f) // its submission had read the version just before
		s.want("bytes of a job", 2*aDay, 0)
	})
}

func TestTheRetentionReadsIndexesOnly(t *testing.T) {
	t.Parallel()
	s := opened(t, Config{Driver: SQLite, Path: filepath.Join(t.TempDir(), "waybill.db")})
	c := inhabited(t, s)
	j := job.Job{ID: "69b9209b00000000000000c1", AccountID: c.AccountID, ConfigID: c.ID}
	if _, _, err := s.Submit(t.Context(), control.Submission{Job: j}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Cancel(t.Context(), c.AccountID, j.ID, job.UserRef{ID: 1}, time.UnixMicro(5), 0); err != nil {
		t.Fatal(err)
	}
	c.Rules.Retention = job.Retention{MaxCount: 10}
	if err := s.UpdateConfig(t.Context(), c, c.ModifiedAt); err != nil {
		t.Fatal(err)
	}
	expire := func(d job.Retention) func() {
		return func() {
			r := job.RetentionRun{Started: time.UnixMicro(3), Now: time.UnixMicro(3), Settled: time.UnixMicro(3), Default: d}
			for mark := (job.RetentionMark{}); !mark.Done; {
				var err error
				if mark, _, err = s.ExpireJobs(t.Context(), r, mark, 10); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for name, one := range map[string]struct {
		ask     func()
		indexes []string
	}{
		"own limits only": {expire(job.Retention{}), []string{"job_configs_keep", "jobs_config_finished"}},
		"limits of the account": {expire(job.Retention{MaxCount: 5, MaxAge: time.Microsecond}), []string{
			"COVERING INDEX jobs_finished (account_id=?", "jobs_config_finished (account_id=? AND config_id>?)",
			"jobs_config_finished (account_id=? AND config_id=?", "c USING INDEX jobs_config_finished ((account_id,config_id,finished_at,id)>(?,?,?,?) AND (account_id,config_id,finished_at,id)<(?,?,?,?))",
			"m USING INDEX jobs_root (root=?)",
		}},
	} {
		plan := plans(t, s, one.ask)
		for _, index := range one.indexes {
			if !strings.Contains(plan, index) {
				t.Errorf("%s does not use %s:\n%s", name, index, plan)
			}
		}
		if strings.Contains(plan, "SCAN jobs") || strings.Contains(plan, "SCAN c\n") || strings.Contains(plan, "SCAN m") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s reads more than it takes:\n%s", name, plan)
		}
	}
}

func TestWhatAJobRanThroughALinkIsKeptAsLongAsTheJob(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		account := s.config.AccountID
		shared := job.File{AccountID: account, EntityType: job.EntityAccount, EntityID: account, Key: "lib.sh", SHA256: "d1", CreatedAt: s.clock}
		if _, err := s.AddFile(t.Context(), shared); err != nil {
			t.Fatal(err)
		}
		link, err := s.AddLink(t.Context(), job.FileLink{
			AccountID: account, EntityType: job.EntityJobConfig, EntityID: s.config.ID, SourceType: job.EntityAccount, SourceID: account,
			Key: "lib.sh", CreatedAt: s.clock,
		})
		if err != nil {
			t.Fatal(err)
		}
		f, err := s.File(t.Context(), account, job.EntityJobConfig, s.config.ID, "lib.sh", 0)
		if err != nil {
			t.Fatal(err)
		}
		id := s.run(f)
		if err := s.DeleteLink(t.Context(), account, link.EntityType, link.EntityID, link.ID); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteFile(t.Context(), account, job.EntityAccount, account, "lib.sh"); err != nil {
			t.Fatal(err)
		}
		s.want("with the job", aDay, 0)
		s.want("with the job, later", aDay, 0)
		if _, err := run(s.write.WithContext(t.Context()), "DELETE FROM jobs WHERE id = ?", string(id)); err != nil {
			t.Fatal(err)
		}
		s.want("without the job", aDay, 1)
		s.want("a day after that", aDay, 0, "d1")
		if left, err := many[int64](s.read.WithContext(t.Context()), "SELECT id FROM file_links"); err != nil || len(left) != 0 {
			t.Errorf("links %v are left, %v", left, err)
		}
	})
}

func TestFilesOfAnAccountThatNobodyUsesGo(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		account := s.config.AccountID
		if _, err := s.AddFile(t.Context(), job.File{AccountID: account, EntityType: job.EntityAccount, EntityID: account, Key: "x", SHA256: "d1", CreatedAt: s.clock}); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteFile(t.Context(), account, job.EntityAccount, account, "x"); err != nil {
			t.Fatal(err)
		}
		s.want("after a day", aDay, 1)
		s.want("after two", aDay, 0, "d1")
	})
}

func TestWhatAJobGotAsAnInputIsKeptAsLongAsTheJob(t *testing.T) {
	eachShelf(t, func(t *testing.T, s *shelf) {
		f := s.add("a.csv", "d1")
		s.add("other.csv", "d2")
		j, _, err := s.Submit(t.Context(), control.Submission{Job: job.Job{
			ID: "69b9209b000000000000aaaa", AccountID: s.config.AccountID, ConfigID: s.config.ID, ScheduledAt: s.clock,
			Spec: job.Spec{PackageName: "p.sh", PackageVersion: 1, Inputs: []job.InputFile{
				{Name: f.Key, Version: 1, SHA256: f.SHA256, SourceType: f.EntityType, SourceID: f.EntityID},
			}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		s.remove("a.csv")
		s.remove("other.csv")
		s.want("with the job", aDay, 1)
		s.want("with the job, later", aDay, 0, "d2")
		if _, err := run(s.write.WithContext(t.Context()), "DELETE FROM jobs WHERE id = ?", string(j.ID)); err != nil {
			t.Fatal(err)
		}
		if err := s.BlobGone(t.Context(), control.Blob{AccountID: s.config.AccountID, SHA256: "d2"}); err != nil {
			t.Fatal(err)
		}
		s.want("without the job", aDay, 1)
		s.want("a day after that", aDay, 0, "d1")
	})
}

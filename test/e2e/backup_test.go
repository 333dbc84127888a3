package e2e

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

// TestRestoreOnSQLite backs a running laptop up as docs/backup.md says, and restores it into an empty folder.
func TestRestoreOnSQLite(t *testing.T) {
	t.Parallel()
	o := options{data: folder(t), args: []string{"--drain-timeout", "1s", "--job-grace", "1s"}}
	restore(t, o, o.args, func(p *program, to string) []string {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(p.data, "waybill.db")+"?_pragma=busy_timeout(30000)")
		if err == nil {
			_, err = db.ExecContext(t.Context(), "VACUUM INTO ?", filepath.Join(to, "waybill.db"))
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		return nil
	})
}

// TestRestoreOnPostgres does it with the tables and the engine in PostgreSQL: what is restored is a database of another name, and
// the engine's are made anew.
func TestRestoreOnPostgres(t *testing.T) {
	t.Parallel()
	_, at := pgDatabase(t)
	if _, err := exec.LookPath("pg_dump"); err != nil {
		t.Skip("pg_dump is not installed; on Debian: apt-get install postgresql-client")
	}
	o := options{data: folder(t), args: []string{"--drain-timeout", "1s", "--job-grace", "1s"}, env: []string{"WAYBILL_DATABASE=" + at}}
	restore(t, o, o.args, func(_ *program, to string) []string {
		return []string{"WAYBILL_DATABASE=" + restoreDump(t, at, filepath.Dir(to))}
	})
}

const restoreSecret = "opened-after-the-restore"

// restore runs jobs, makes a backup while others run and more are started, ends that installation, and starts another one from
// the backup. tables saves the tables and gives the settings of the restored ones.
func restore(t *testing.T, o options, args []string, tables func(p *program, to string) (env []string)) {
	p := start(t, o)
	c := p.admin(t)
	work := `[ "$TOKEN" = "` + restoreSecret[:6] + `""` + restoreSecret[6:] + `" ] && echo "token is right"
head -c 300000 /dev/urandom > "$LOCAL_JOB_OUT_DIR/result.bin"
echo "sum $(sha256sum < "$LOCAL_JOB_OUT_DIR/result.bin" | cut -c1-64)"`
	secret := object{"macros": []object{{"key": "TOKEN", "value": restoreSecret, "secure": true}}}
	short := script(work)
	short.runtime = secret
	quick := c.configure(t, "quick", short)
	held := script(`[ -z "$LONG" ] || [ "$WAYBILL_ATTEMPT" -gt 1 ] || sleep 600` + "\n" + work)
	held.runtime, held.config = secret, object{"concurrency": object{"limit": 2}}
	slow := c.configure(t, "slow", held)

	done := map[string]string{} // the log of each job that had ended
	for range 5 {
		id := c.submit(t, quick).text("id")
		expect(t, "a job before the backup", c.finish(t, id, time.Minute).text("status"), "FINISHED")
		done[id] = c.log(t, id)
	}
	var unfinished []string // two run, two wait in the lane
	for n := range 4 {
		var long any
		if n < 2 {
			long = object{"runtimeConfig": object{"macros": []object{{"key": "LONG", "value": "1"}}}}
		}
		j := c.do(t, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+slow+"/jobs", long).object(t)
		unfinished = append(unfinished, j.text("id"))
	}
	for _, id := range unfinished[:2] {
		c.reaches(t, id, "RUNNING", time.Minute)
	}

	to := folder(t)
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var submitter sync.WaitGroup
	submitter.Go(func() { // what comes during the backup may be in it or not, and must be consistent
		for {
			if _, err := c.send(t.Context(), http.MethodPost, "/api/jobconfigs/"+quick+"/jobs?wait=5s", nil); err != nil {
				t.Error(err)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	env := tables(p, to)
	for _, name := range []string{"objects", "object-metadata", "master.key"} { // after the tables
		if _, err := os.Stat(filepath.Join(p.data, name)); os.IsNotExist(err) {
			continue
		}
		if out, err := exec.CommandContext(t.Context(), "cp", "-a", filepath.Join(p.data, name), to).CombinedOutput(); err != nil {
			t.Fatalf("copy %s: %v: %s", name, err, out)
		}
	}
	close(stop)
	submitter.Wait()
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}

	p = start(t, options{data: to, args: args, env: env})
	c = p.admin(t)
	for id, log := range done {
		expect(t, "a job that had ended", c.get(t, "/api/jobs/"+id).text("status"), "FINISHED")
		expect(t, "its log", c.log(t, id), log)
	}
	for _, id := range unfinished {
		j := c.finish(t, id, 3*time.Minute)
		expect(t, "a job that had not ended", j.text("status"), "FINISHED")
	}
	all := c.get(t, "/api/jobs?size=1000").items()
	if len(all) < len(done)+len(unfinished) {
		t.Errorf("%d jobs are there", len(all))
	}
	var ids []string
	for _, one := range all {
		id := one.text("id")
		ids = append(ids, id)
		expect(t, "the end of "+id, c.finish(t, id, time.Minute).text("status"), "FINISHED")
		log := c.log(t, id)
		sum := sha256.Sum256([]byte(c.output(t, id, "result.bin")))
		if want := "sum " + hex.EncodeToString(sum[:]); !strings.Contains(log, want) || !strings.Contains(log, "token is right") {
			t.Errorf("the output file of %s or its secret is another one, want %q:\n%s", id, want, log)
		}
	}
	nothingLeft(t, p, ids...)
	expect(t, "a new job", c.finish(t, c.submit(t, quick).text("id"), time.Minute).text("status"), "FINISHED")
}

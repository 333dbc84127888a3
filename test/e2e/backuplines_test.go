package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// printed is the one command of docs/backup.md that begins so, without the remark behind it.
func printed(t *testing.T, begin string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "backup.md"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(page)) {
		if command, is := strings.CutPrefix(line, "    "); is && strings.HasPrefix(command, begin) {
			command, _, _ = strings.Cut(command, "  #")
			found = append(found, strings.TrimSpace(command))
		}
	}
	if len(found) != 1 {
		t.Fatalf("docs/backup.md prints %q for %q", found, begin)
	}
	return found[0]
}

// shell runs a command as somebody does who copied it.
func shell(t *testing.T, dir string, env []string, line string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
	cmd.Dir, cmd.Env = dir, append(environment(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
}

// renamed puts a name of a test's own in the place of the words of a printed command.
func renamed(t *testing.T, line string, names ...string) string {
	t.Helper()
	for i := 0; i < len(names); i += 2 {
		if !strings.Contains(line, names[i]) {
			t.Fatalf("docs/backup.md prints %q, without %q", line, names[i])
		}
		line = strings.Replace(line, names[i], names[i+1], 1)
	}
	return line
}

// restoreDump dumps a database and restores it into another one, of a user that is nobody special, with the lines of docs/backup.md. It
// gives the URL of the new one.
func restoreDump(t *testing.T, at, dir string) (fresh string) {
	t.Helper()
	from, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	service := filepath.Join(dir, "pg_service.conf")
	text := fmt.Sprintf("[waybill]\nhost=%s\nport=%s\nuser=%s\ndbname=%s\n", from.Hostname(), from.Port(), from.User.Username(), strings.TrimPrefix(from.Path, "/"))
	if err := os.WriteFile(service, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	word, _ := from.User.Password()
	env := []string{"PGSERVICEFILE=" + service, "PGHOST=" + from.Hostname(), "PGPORT=" + from.Port(), "PGUSER=" + from.User.Username(), "PGPASSWORD=" + word}
	shell(t, dir, env, printed(t, "pg_dump "))

	name := fmt.Sprintf("e2e_restored_%x", time.Now().UnixNano())
	onServer := func(ctx context.Context, statements ...string) (err error) {
		c, err := pgx.Connect(ctx, at)
		if err != nil {
			return err
		}
		for _, s := range statements {
			_, failed := c.Exec(ctx, s)
			err = errors.Join(err, failed)
		}
		return errors.Join(err, c.Close(ctx))
	}
	if err := onServer(t.Context(), "CREATE ROLE "+name+" LOGIN CREATEDB"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		var drops []string
		for _, suffix := range []string{"", "_temporal", "_temporal_visibility"} {
			drops = append(drops, "DROP DATABASE IF EXISTS "+name+suffix+" WITH (FORCE)")
		}
		if err := onServer(context.Background(), append(drops, "DROP ROLE "+name)...); err != nil {
			t.Error(err)
		}
	})
	shell(t, dir, env, renamed(t, printed(t, "createdb "), "--owner=waybill", "--owner="+name, " waybill", " "+name))
	shell(t, dir, env, renamed(t, printed(t, "pg_restore "), "--role=waybill", "--role="+name, "--dbname=waybill", "--dbname="+name))
	to := *from
	to.User, to.Path = url.User(name), "/"+name
	return to.String()
}

// TestRestoreOfAStoppedLaptop backs the folder of a stopped process up as docs/backup.md prints it, and restores it. Output files have
// the names of what is left out, and are not.
func TestRestoreOfAStoppedLaptop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "waybill-data")
	p := start(t, options{data: data})
	c := p.admin(t)
	names := []string{"engine", "spool", "work/data.csv", "workers/1/data.csv"}
	config := c.configure(t, "named", script(`cd "$LOCAL_JOB_OUT_DIR" && mkdir -p work workers/1
for name in `+strings.Join(names, " ")+`; do
  head -c 10000 /dev/urandom > "$name"
  echo "$name $(sha256sum < "$name" | cut -c1-64)"
done`))
	id := c.submit(t, config).text("id")
	expect(t, "a job before the backup", c.finish(t, id, time.Minute).text("status"), "FINISHED")
	log := c.log(t, id)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}

	shell(t, dir, nil, printed(t, "tar --xattrs -C waybill-data -czf waybill.tgz"))
	if err := os.Rename(data, filepath.Join(dir, "lost")); err != nil {
		t.Fatal(err)
	}
	shell(t, dir, nil, printed(t, "mkdir -m 0700 waybill-data"))
	for _, gone := range []string{"work", "workers", "spool", "engine"} {
		if _, err := os.Stat(filepath.Join(data, gone)); !os.IsNotExist(err) {
			t.Errorf("%s is in the backup: %v", gone, err)
		}
	}
	p = start(t, options{data: data})
	c = p.admin(t)
	expect(t, "its log", c.log(t, id), log)
	for _, name := range names {
		sum := sha256.Sum256([]byte(c.output(t, id, name)))
		if want := name + " " + hex.EncodeToString(sum[:]); !strings.Contains(log, want) {
			t.Errorf("the output file is another one, want %q in\n%s", want, log)
		}
	}
	expect(t, "a new job", c.finish(t, c.submit(t, config).text("id"), time.Minute).text("status"), "FINISHED")
}

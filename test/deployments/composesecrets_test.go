package deployments

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMakeEnvMakesEverySecretOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := write(t, filepath.Join(dir, "make-env"), string(read(t, at("compose", "make-env"))))
	must(t, script)
	made := map[string]string{}
	for name, s := range composeFile(t)["secrets"].(map[string]any) {
		path := filepath.Join(dir, text(dig(s, "file")))
		if filepath.Dir(path) != filepath.Join(dir, "secrets") {
			t.Errorf("%s is in %s, which is not guarded", name, path)
		}
		made[name] = string(read(t, path))
		if len(made[name]) < 20 || strings.ContainsAny(made[name], " \n") {
			t.Errorf("%s is %q", name, made[name])
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o444 {
			t.Errorf("%s: users of containers must be able to read it: %v, %v", name, info, err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "secrets")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("anybody reaches the secrets: %v, %v", info, err)
	}
	if len(made) < 8 || len(slices.Compact(slices.Sorted(maps.Values(made)))) != len(made) {
		t.Errorf("%d secrets, or two are the same", len(made))
	}
	if want := "postgres://waybill:" + made["waybill-database-password"] + "@"; !strings.HasPrefix(made["waybill-database"], want) {
		t.Error("the database's URL has another password")
	}

	env := string(read(t, filepath.Join(dir, ".env")))
	for name, secret := range made {
		if strings.Contains(env, secret) {
			t.Errorf("%s is in .env, too", name)
		}
	}
	for _, m := range substitution.FindAllStringSubmatch(string(read(t, at("compose", "compose.yaml"))), -1) {
		if m[2] == ":?" && !strings.Contains("\n"+env, "\n"+m[1]+"=") {
			t.Errorf("%s is not made", m[1])
		}
	}

	// What is there stays, whatever else is not there any more.
	for _, gone := range []string{"nothing", ".env"} {
		if err := os.RemoveAll(filepath.Join(dir, gone)); err != nil {
			t.Fatal(err)
		}
		must(t, script)
		for name, secret := range made {
			if again := string(read(t, filepath.Join(dir, "secrets", name))); again != secret {
				t.Errorf("without %s a second call replaced %s", gone, name)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, ".env")); err != nil {
			t.Error(err)
		}
	}
	// Settings that were there first stay beside what compose.yaml wants.
	write(t, filepath.Join(dir, ".env"), "WAYBILL_BASE_URL=https://waybill.example.com\n")
	for range 2 {
		must(t, script)
		if env := string(read(t, filepath.Join(dir, ".env"))); strings.Count(env, "MINIO_ROOT_USER=") != 1 || !strings.HasPrefix(env, "WAYBILL_BASE_URL=https://waybill.example.com\n") {
			t.Errorf(".env is %q", env)
		}
	}
	// An .env of when secrets were settings holds what the volumes were made with.
	before := "POSTGRES_PASSWORD=old-a\nWAYBILL_DATABASE_PASSWORD=old-b\nTEMPORAL_DATABASE_PASSWORD=old-c\nMINIO_ROOT_USER=old-d\nWAYBILL_S3_SECRET_KEY=old-e\n" +
		"WAYBILL_MASTER_KEY=old-f\nWAYBILL_ADMIN_PASSWORD=old-g\nGRAFANA_ADMIN_PASSWORD=old-h\n"
	write(t, filepath.Join(dir, ".env"), before)
	if err := os.RemoveAll(filepath.Join(dir, "secrets")); err != nil {
		t.Fatal(err)
	}
	must(t, script)
	for name, want := range map[string]string{
		"postgres-password": "old-a", "waybill-database-password": "old-b", "waybill-database": "postgres://waybill:old-b@postgres:5432/waybill?sslmode=disable",
		"temporal-database-password": "old-c", "waybill-s3-secret-key": "old-e", "waybill-master-key": "old-f", "waybill-admin-password": "old-g",
		"grafana-admin-password": "old-h",
	} {
		if got := string(read(t, filepath.Join(dir, "secrets", name))); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if env := string(read(t, filepath.Join(dir, ".env"))); env != before {
		t.Errorf(".env became %q", env)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".m*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	ignored := string(read(t, at("compose", ".gitignore")))
	for _, path := range []string{"secrets/", ".making/", ".env"} {
		if !strings.Contains("\n"+ignored, "\n"+path+"\n") {
			t.Errorf("git does not ignore %s", path)
		}
	}
}

// TestOneMakesTheSecrets: a call beside another one, or after one that was broken off, makes nothing.
func TestOneMakesTheSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := write(t, filepath.Join(dir, "make-env"), string(read(t, at("compose", "make-env"))))
	if err := os.MkdirAll(filepath.Join(dir, ".making", "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := try(t, script); err == nil || !strings.Contains(out, ".making") {
		t.Errorf("%v: %s", err, out)
	}
	for _, name := range []string{"secrets", ".env"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was made", name)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, ".making", "secrets")); err != nil {
		t.Errorf("the work of the other is taken away: %v", err)
	}
}

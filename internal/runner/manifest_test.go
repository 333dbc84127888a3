package runner

import (
	"os"
	"path/filepath"
	"testing"

	"waybill/internal/archive"
	"waybill/internal/job"
)

func TestAJavaProgramLiesAmongItsMembers(t *testing.T) {
	r := newRunner(t, nil)
	data := pack(t, "META-INF/MANIFEST.MF", "Main-Class: demo.Main\n", "demo/Main.class", "x", "run.sh", "exit 0")
	for key, want := range map[string]string{"tools/a.jar": "a.jar", "b.jar": "b.jar", "c.zip": "run.sh"} {
		l := lease(t, r, key, data)
		e, err := l.entryPoint("")
		if err != nil || e.Member != want {
			t.Errorf("%s starts at %+v, %v", key, e, err)
			continue
		}
		if key == "c.zip" {
			continue
		}
		got, err := os.ReadFile(filepath.Join(l.Dir, want))
		if err != nil || string(got) != string(data) {
			t.Errorf("%s is not beside its members: %v", key, err)
		}
		if e, err := l.entryPoint("run.sh"); err != nil || e.Member != "run.sh" {
			t.Errorf("a member of %s: %+v %v", key, e, err)
		}
	}
}

func TestTreesOfAnOlderVersionAreMadeAnew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "packages")
	data := pack(t, "waybill.yaml", "entryPoints: [{name: go, path: run.sh}]", "run.sh", "exit 0")
	use := func() *Lease {
		c, err := openCache(dir, 1<<30, archive.DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		l, err := c.Use(t.Context(), packageOf("a.zip", data), fetchOf(data))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := use()
	l.Release()
	if err := os.WriteFile(filepath.Join(filepath.Dir(l.Dir), "about.json"), []byte(`{"size":1,"archive":{"entryPoints":["run.sh"]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	l = use()
	defer l.Release()
	if e, err := l.entryPoint("go"); err != nil || e.Point == nil {
		t.Errorf("got %+v %v", e, err)
	}
}

func TestMacrosThePackageCallsSecureAreHiddenWhoeverGivesThem(t *testing.T) {
	r := newRunner(t, nil)
	data := pack(t, "waybill.yaml", "entryPoints: [{path: run.sh}]\nmacros: [{name: KEY, secure: true}]", "run.sh", "echo key is $KEY and $OTHER")
	a := mustPrepare(t, r, lease(t, r, "a.zip", data), job.Spec{Macros: []job.Macro{{Key: "KEY", Value: "hidden-value"}, {Key: "OTHER", Value: "plain-value"}}})
	if _, err := a.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := a.log.text(); got != "key is *** and plain-value\n" {
		t.Errorf("the log is %q", got)
	}
}

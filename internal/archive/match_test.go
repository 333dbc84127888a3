package archive

import (
	"testing"

	"waybill/internal/job"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	project := []string{"META-INF/MANIFEST.MF", "Sample-1.0/integrateXYZ.process.rtc", "Sample-1.0/sub/other.map.rtc"}
	cases := []struct {
		name    string
		archive job.Archive
		members []string
		given   string
		want    Entry
		fault   string
	}{
		{name: "exact", members: []string{"main.py", "a/main.py"}, given: "main.py", want: Entry{Member: "main.py", Root: ""}},
		{name: "tutorial: no folder, no .rtc", members: project, given: "integrateXYZ.process", want: Entry{Member: "Sample-1.0/integrateXYZ.process.rtc", Root: "Sample-1.0"}},
		{name: "no folder", members: project, given: "integrateXYZ.process.rtc", want: Entry{Member: "Sample-1.0/integrateXYZ.process.rtc", Root: "Sample-1.0"}},
		{name: "backslash", members: project, given: `Sample-1.0\integrateXYZ.process`, want: Entry{Member: "Sample-1.0/integrateXYZ.process.rtc", Root: ""}},
		{name: "deeper, no folder", members: project, given: `sub\other.map`, want: Entry{Member: "Sample-1.0/sub/other.map.rtc", Root: "Sample-1.0"}},
		{name: "with .rtc where the member has none", members: []string{"a.process"}, given: "a.process.rtc", want: Entry{Member: "a.process", Root: ""}},
		{name: "with a folder the member lacks", members: []string{"a.process.rtc"}, given: "Proj/a.process", want: Entry{Member: "a.process.rtc", Root: ""}},
		{name: "exact wins over .rtc", members: []string{"a.process", "a.process.rtc"}, given: "a.process", want: Entry{Member: "a.process", Root: ""}},
		{name: "main", archive: job.Archive{Main: "integrateXYZ.process"}, members: project, want: Entry{Member: "Sample-1.0/integrateXYZ.process.rtc", Root: "Sample-1.0"}},
		{name: "only one", archive: job.Archive{EntryPoints: []string{"d/run.sh"}}, members: []string{"d/run.sh", "x"}, want: Entry{Member: "d/run.sh", Root: ""}},
		{name: "several", archive: job.Archive{EntryPoints: []string{"a.sh", "b.sh"}}, members: []string{"a.sh", "b.sh"}, fault: "The package has no Main-Process and 2 entry points; name one: 'a.sh', 'b.sh'"},
		{name: "none", members: []string{"x"}, fault: "The package has no entry point"},
		{name: "absent", members: []string{"x/y", "z"}, given: "main.py", fault: "Entry point 'main.py' is not in the package; it has 'z', 'x/y'"},
		{name: "absent from nothing", given: "main.py", fault: "Entry point 'main.py' is not in the package, which is empty"},
		{name: "outside", members: project, given: "../x", fault: "Entry point '../x' is not a name inside the package"},
		{name: "ambiguous", members: []string{"a/run.sh", "b/run.sh"}, given: "run.sh", fault: "Entry point 'run.sh' is ambiguous: 'a/run.sh', 'b/run.sh'"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := Match(c.archive, c.members, c.given)
			if c.fault == "" && (err != nil || got != c.want) {
				t.Errorf("got %v %v, want %v", got, err, c.want)
			}
			if c.fault != "" && (err == nil || err.Error() != c.fault || job.WordOf(err) != job.WordInvalidPackage) {
				t.Errorf("got %v, want %s", err, c.fault)
			}
		})
	}
}

func TestIsArchive(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"a.djar": "zip", "A.ZIP": "zip", "x/y.Jar": "jar", "a.tar.gz": "tgz", "a.TGZ": "tgz", "a.gz": "file", "a.py": "file", "zip": "file", "": "file",
	} {
		if Format(key) != want || IsArchive(key) != (want != "file") {
			t.Errorf("%q is %s, want %s", key, Format(key), want)
		}
	}
}

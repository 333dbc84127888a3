package native_test

import (
	"archive/zip"
	"bytes"
	"testing"
)

// zipOf makes a package of name, text pairs.
func zipOf(t *testing.T, pairs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		f, err := w.Create(pairs[i])
		if err == nil {
			_, err = f.Write([]byte(pairs[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const waybillYAML = `name: rates
version: 2.10
entryPoints:
- {name: load, path: main.py, runtime: python, arguments: [--all]}
macros:
- {name: DAY, default: monday}
- {name: API_KEY, required: true, secure: true}
messages: {out: [summary]}
resources: {memoryMiB: 512}
`

func TestEntryPointsShowWhatAPackageExpects(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := f.config("rates", "")
	files := "/api/jobconfigs/" + config + "/files"
	f.do("POST", files+"?key=rates.zip", zipOf(t, "waybill.yaml", waybillYAML, "main.py", ""), raw).want(t, 201, "")
	f.do("PATCH", "/api/jobconfigs/"+config, `{"runtimeConfig":{"packageName":"rates.zip"}}`).want(t, 200, "")
	const want = `{"packageName":"rates.zip","entryPoints":["load"],"defaultEntryPoint":"load","manifest":{"name":"rates","version":"2.10",
		"entryPoints":[{"name":"load","path":"main.py","runtime":"python","arguments":["--all"]}],
		"macros":[{"name":"DAY","default":"monday","required":false,"secure":false},{"name":"API_KEY","required":true,"secure":true}],
		"messages":{"out":["summary"]},"resources":{"memoryMiB":512}}}`
	f.do("GET", "/api/jobconfigs/"+config+"/package/entrypoints", nil).want(t, 200, want)
	f.do("GET", files+"/entrypoints/rates.zip", nil).want(t, 200, want)

	start := "/api/jobconfigs/" + config + "/jobs"
	f.do("POST", start, nil).fault(t, 400, "missing_field", "macro 'API_KEY' is required by package 'rates.zip' and not given")
	f.do("POST", start, `{"runtimeConfig":{"macros":[{"key":"API_KEY","value":"k"}]}}`).want(t, 202, `{"entryPoint":null}`)

	f.do("POST", files+"?key=bad.zip", zipOf(t, "waybill.yaml", "name: x\nentryPoints:\n- path: gone.py\n"), raw).
		fault(t, 400, "invalid_package", "waybill.yaml, line 3: entryPoints[0].path 'gone.py' is not a file of the package")
	f.do("GET", files+"/bad.zip", nil).fault(t, 404, "not_found", "")
}

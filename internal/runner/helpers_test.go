package runner

import (
	"strings"
	"testing"

	"waybill/internal/job"
	"waybill/internal/sandbox"
)

// The modules are found from inside of every sandbox, beside paths that a macro sets, and can not be changed for others.
func TestProgramsFindTheModules(t *testing.T) {
	for _, mode := range []sandbox.Mode{sandbox.Auto, sandbox.Off} {
		r := newRunner(t, func(c *Config) { c.Sandbox = mode })
		for _, c := range []struct{ needs, key, text string }{
			{"python3", "main.py", "import waybill, os\nwaybill.output('x', 1)\nprint(os.environ['PYTHONPATH'].split(':')[0])"},
			{"node", "main.js", "require('waybill').output('x', 1); console.log(process.env.PYTHONPATH.split(':')[0])"},
			{"sh", "main.sh", `. "$WAYBILL_HELPERS/waybill.sh"; waybill_output_json x 1; echo "${PYTHONPATH%%:*}"`},
		} {
			t.Run(string(mode)+" "+c.needs, func(t *testing.T) {
				need(t, c.needs)
				a := mustPrepare(t, r, lease(t, r, c.key, []byte(c.text)), job.Spec{Macros: []job.Macro{{Key: "PYTHONPATH", Value: "/mine"}, {Key: "WAYBILL_HELPERS", Value: "/x"}}})
				result, err := a.Run(t.Context())
				if err != nil || result.ExitCode != 0 || !strings.HasSuffix(a.log.text(), "\n/mine\n") || !strings.Contains(a.log.text(), "WAYBILL_HELPERS is not passed") {
					t.Fatalf("%+v, %v: %s", result, err, a.log.text())
				}
				info, err := a.Events().Stat()
				if err != nil || info.Size() == 0 {
					t.Errorf("nothing was told: %v", err)
				}
			})
		}
		if _, a := script(t, r, `echo evil >>"$WAYBILL_HELPERS/waybill.sh"; rm -f "$WAYBILL_HELPERS/waybill.py"; mkdir "$WAYBILL_HELPERS/x"; true`); r.sandbox.Enforced() {
			if text := a.log.text(); strings.Count(text, "ermission denied")+strings.Count(text, "ead-only") < 3 {
				t.Errorf("%s", text)
			}
		}
		if _, a := script(t, r, `cat "$WAYBILL_HELPERS/waybill.sh" | grep -c evil; ls "$WAYBILL_HELPERS"`); a.log.text() != "0\nwaybill.js\nwaybill.py\nwaybill.sh\n" {
			t.Errorf("another job finds %s", a.log.text())
		}
	}
}

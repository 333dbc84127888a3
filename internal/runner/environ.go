package runner

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"waybill/internal/macro"
	"waybill/internal/modules"
	"waybill/internal/runtimes"
	"waybill/internal/sandbox"
)

// passed is what of the server's environment a program gets. Everything else, tokens and passwords above all, stays here.
var passed = []string{"PATH", "LANG", "TZ"}

// environ builds a program's environment: the server's few, the defaults, what its runtime sets, the macros over them, what
// the operator sets for its engine, and Waybill's own names over all. warnings name the macros that can not be passed.
func environ(macros []macro.Resolved, c runtimes.Command, own map[string]string, tmp, helpers string) (env, warnings []string) {
	vars := map[string]string{"HOME": tmp, "TMPDIR": tmp, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
	for _, name := range passed {
		if v, set := os.LookupEnv(name); set {
			vars[name] = v
		}
	}
	maps.Copy(vars, c.Env)
	for _, m := range macros {
		_, reserved := own[m.Key]
		reserved = reserved || m.Key == sandbox.RunVariable || m.Key == modules.Variable
		switch {
		case !validName(m.Key):
			warnings = append(warnings, "macro "+strconv.QuoteToASCII(m.Key)+" is not passed: its name can not be an environment variable")
		case reserved:
			warnings = append(warnings, "macro "+m.Key+" is not passed: the name is Waybill's own")
		case strings.IndexByte(m.Value, 0) >= 0:
			warnings = append(warnings, "macro "+m.Key+" is not passed: its value holds a NUL")
		default:
			vars[m.Key] = m.Value
		}
	}
	maps.Copy(vars, c.Fixed)
	maps.Copy(vars, own)
	modules.Extend(vars, helpers)
	for k, v := range vars {
		env = append(env, k+"="+v)
	}
	slices.Sort(env)
	return env, warnings
}

// validName tells whether a shell can refer to the name (POSIX, 8.1): letters, digits, "_", no digit first.
func validName(s string) bool {
	for i, c := range []byte(s) {
		letter := c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

package control

import (
	"slices"
	"strings"

	"waybill/internal/job"
	"waybill/internal/macro"
)

// expect applies what the package says about macros to a job's: its defaults are the lowest layer, one it requires has to be
// given, and one it calls secure is sealed in the job whoever gave it. A retry of another version begins with the snapshot of
// its parent, so the defaults of the version before go first.
func (s *Jobs) expect(f job.File, spec *job.Spec) error {
	given := slices.DeleteFunc(slices.Clone(spec.Macros), func(m job.Macro) bool { return m.Default })
	if f.Archive == nil || f.Archive.Manifest == nil {
		spec.Macros = given
		return nil
	}
	has := map[string]bool{}
	for _, m := range given {
		has[m.Key] = m.Secure || m.Value != ""
	}
	var defaults []job.Macro
	var missing []string
	secure := map[string]bool{}
	for _, rule := range f.Archive.Manifest.Macros {
		secure[rule.Name] = rule.Secure
		if rule.Default != nil {
			defaults = append(defaults, job.Macro{Key: rule.Name, Value: *rule.Default, Description: rule.Description, Default: true})
		} else if rule.Required && !has[rule.Name] {
			missing = append(missing, "'"+short(rule.Name)+"'")
		}
	}
	if len(missing) > 0 && spec.Fault == "" { // a job that is to fail needs none
		return missingMacros(f, missing)
	}
	spec.Macros = macro.Merge(defaults, given)
	for i, m := range spec.Macros {
		if secure[m.Key] && !m.Secure {
			m.Sealed, m.Value, m.Secure = s.Sealer.Seal(m.Value), "", true
			spec.Macros[i] = m
		}
	}
	return macro.Check(spec.Macros)
}

// missingMacros names a few of them.
func missingMacros(f job.File, names []string) error {
	const told = 5
	more := ""
	if len(names) > told {
		names, more = names[:told], " and others"
	}
	what := "macro " + names[0] + " is"
	if len(names) > 1 {
		what = "macros " + strings.Join(names, ", ") + more + " are"
	}
	return job.Errorf(job.Invalid, job.WordMissingField, "%s required by package '%s' and not given", what, short(f.Key))
}

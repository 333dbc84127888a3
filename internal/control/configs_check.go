package control

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"waybill/internal/job"
)

// What a job config is made of is checked here, part by part, and what others check alike.

// maxLabel is the length of a label in characters.
const maxLabel = 255

// checkLabels checks the labels that a config is to have. What an older version let it have as its task type may stay.
func checkLabels(old, l job.Labels) error {
	for name, value := range map[string]string{
		"agentId": l.AgentID, "integrationId": l.IntegrationID, "profileId": l.ProfileID, "taskType": l.TaskType,
	} {
		if !printable(value, maxLabel) {
			return invalidField("%s has at most %d characters and no control characters", name, maxLabel)
		}
	}
	if _, known := job.TaskType(l.TaskType); l.TaskType != "" && !known && l.TaskType != old.TaskType {
		return invalidField("taskType is %s, in any letter case", strings.Join(job.TaskTypes, ", "))
	}
	return nil
}

func checkRuntimeText(in job.RuntimeConfig) error {
	switch in.LogLevel {
	case "", "SEVERE", "WARNING", "INFO", "DEBUG":
	default:
		return invalidField("logLevel is SEVERE, WARNING, INFO or DEBUG")
	}
	if !printable(in.EntryPoint, 1024) {
		return invalidField("entryPoint has at most 1024 characters and no control characters")
	}
	if !printable(in.PackageEntityType, maxLabel) || !printable(in.PackageEntityID, maxLabel) {
		return invalidField("packageEntityType and packageEntityId have at most %d characters and no control characters", maxLabel)
	}
	return nil
}

// sealMacros checks macros and seals the secure ones. A secure macro without a value keeps the stored one.
func sealMacros(sealer Sealer, stored, in []job.Macro) ([]job.Macro, error) {
	if len(in) > maxMacros {
		return nil, invalidField("macros has more than %d entries", maxMacros)
	}
	had := map[string]job.Macro{}
	for _, m := range stored {
		had[m.Key] = m
	}
	seen := map[string]bool{}
	out := make([]job.Macro, 0, len(in))
	for _, m := range in {
		if err := checkMacro(m); err != nil {
			return nil, err
		}
		if seen[m.Key] {
			return nil, invalidField("macros names '%s' twice", m.Key)
		}
		seen[m.Key] = true
		before := had[m.Key]
		switch {
		case before.Secure && !m.Secure:
			return nil, invalidField("Macro '%s' is secure and can not be made plain", m.Key)
		case m.Secure && m.Value == "" && before.Secure:
			m.Sealed = before.Sealed
		case m.Secure:
			m.Sealed, m.Value = sealer.Seal(m.Value), ""
		default:
			m.Sealed = ""
		}
		out = append(out, m)
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

func checkMacro(m job.Macro) error {
	switch {
	case m.Key == "":
		return job.Errorf(job.Invalid, job.WordMissingField, "macros: key is required")
	case len(m.Key) > maxMacroKey || !printable(m.Key, maxMacroKey) || strings.ContainsAny(m.Key, "=$()"):
		return invalidField("macros: a key has at most %d bytes, no control characters and none of = $ ( )", maxMacroKey)
	case len(m.Value) > maxMacroValue:
		return invalidField("macros: the value of '%s' is over %d bytes", m.Key, maxMacroValue)
	case strings.ContainsRune(m.Value, 0):
		return invalidField("macros: the value of '%s' holds a NUL character", m.Key)
	case utf8.RuneCountInString(m.Description) > maxDescription:
		return invalidField("macros: the description of '%s' is too long", m.Key)
	}
	return nil
}

func checkRetry(p job.RetryPolicy) error {
	switch {
	case p.MaximumAttempts < 0 || p.MaximumAttempts > maxAttempts:
		return invalidField("retryPolicy.maximumAttempts is between 1 and %d", maxAttempts)
	case p.InitialInterval < 0 || p.MaximumInterval < 0 || p.InitialInterval > maxTimeout || p.MaximumInterval > maxTimeout:
		return invalidField("retryPolicy intervals are between 0 and a year")
	case p.BackoffCoefficient != 0 && (p.BackoffCoefficient < 1 || p.BackoffCoefficient > 100):
		return invalidField("retryPolicy.backoffCoefficient is between 1 and 100")
	case len(p.NonRetryable) > 256:
		return invalidField("retryPolicy.nonRetryableExitCodes has at most 256 entries")
	}
	return nil
}

// cleanTags trims, drops repeats, keeps the order.
func cleanTags(in []string) ([]string, error) {
	var out []string
	seen := map[string]bool{}
	for _, tag := range in {
		tag = strings.TrimSpace(tag)
		if tag == "" || !printable(tag, maxTag) {
			return nil, invalidField("a tag has 1 to %d characters and no control characters", maxTag)
		}
		if !seen[tag] {
			seen[tag] = true
			out = append(out, tag)
		}
	}
	if len(out) > maxTags {
		return nil, invalidField("tags has more than %d entries", maxTags)
	}
	return out, nil
}

// printable tells whether s is valid UTF-8 of at most limit characters without control characters.
func printable(s string, limit int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= limit && !strings.ContainsFunc(s, unicode.IsControl)
}

func invalidField(format string, args ...any) error {
	return job.Errorf(job.Invalid, job.WordInvalidField, format, args...)
}

// short cuts what a client sent to what an error message may repeat, and takes control characters out.
func short(s string) string {
	s = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s), "?")
	if runes := []rune(s); len(runes) > 64 {
		return string(runes[:64]) + "..."
	}
	return s
}

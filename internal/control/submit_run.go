package control

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"waybill/internal/job"
	"waybill/internal/macro"
)

// ofThisRun lays what a start brings beside its overrides into the snapshot.
func (s *Jobs) ofThisRun(ctx context.Context, c job.Config, r SubmitRequest, spec *job.Spec) error {
	spec.TaskType, spec.Schedule = c.Labels.TaskType, r.schedule
	if spec.TaskType == "" {
		spec.TaskType = r.TaskType
	}
	if r.Callback != nil {
		spec.Callbacks = append(slices.Clone(spec.Callbacks), *r.Callback)
	}
	if r.ParameterFile == "" {
		return nil
	}
	return s.layParameters(ctx, c.AccountID, c.ID, r.ParameterFile, spec)
}

// layParameters lays the values of a parameter file over the macros of the snapshot, or notes why they can not be.
func (s *Jobs) layParameters(ctx context.Context, account, config int64, key string, spec *job.Spec) error {
	spec.Fault, spec.ParameterFile = "", ""
	values, err := s.parameters(ctx, account, config, key)
	if job.CodeOf(err) == job.NotFound || job.CodeOf(err) == job.Invalid {
		spec.Fault, spec.ParameterFile = shownOf(err), key
		return nil
	}
	if err != nil {
		return err
	}
	all := macro.Merge(spec.Macros, values)
	if err := macro.Check(all); err != nil {
		spec.Fault, spec.ParameterFile = "Parameter file '"+short(key)+"': "+shownOf(err), key
		return nil
	}
	spec.Macros = s.sealLike(spec.Macros, all)
	return nil
}

// sealLike seals those macros whose keys are secure among others: a parameter file can not say that its value is to be, and a secure
// macro can not be made plain (native.md, 4).
func (s *Jobs) sealLike(others, macros []job.Macro) []job.Macro {
	secure := map[string]bool{}
	for _, m := range others {
		secure[m.Key] = m.Secure
	}
	for i, m := range macros {
		if secure[m.Key] && !m.Secure {
			m.Sealed, m.Value, m.Secure = s.Sealer.Seal(m.Value), "", true
			macros[i] = m
		}
	}
	return macros
}

// maxParameters bounds a parameter file: its values live in the job's row.
const maxParameters = 512 << 10

// parameters reads the macros of a parameter file.
func (s *Jobs) parameters(ctx context.Context, account, config int64, key string) ([]job.Macro, error) {
	if err := CheckKey(key); err != nil {
		return nil, job.Errorf(job.NotFound, job.WordNotFound, "Parameter file '%s' not found", short(key))
	}
	f, err := s.Files.File(ctx, account, job.EntityJobConfig, config, key, 0)
	if job.CodeOf(err) == job.NotFound {
		f, err = s.Files.File(ctx, account, job.EntityAccount, account, key, 0)
	}
	if job.CodeOf(err) == job.NotFound {
		return nil, job.Wrap(err, job.NotFound, job.WordNotFound, "Parameter file '%s' not found", short(key))
	}
	if err != nil {
		return nil, err
	}
	if f.Size > maxParameters {
		return nil, invalidField("Parameter file '%s' has more than %d bytes", short(key), maxParameters)
	}
	text, err := s.Objects.Get(ctx, job.BlobKey(f.AccountID, f.SHA256), 0, -1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = text.Close() }() // it was only read
	return readParameters(text, key)
}

// readParameters reads lines NAME=value or $$NAME=value. Sections and comments are skipped: a run here has one set of values. What may be no
// macro of a config may be none here either.
func readParameters(r io.Reader, key string) (values []job.Macro, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxParameters+1)
	at := map[string]int{}
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if n == 1 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		line = strings.TrimSuffix(line, "\r")
		if start := strings.TrimSpace(line); start == "" || start[0] == '#' || start[0] == '[' {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		m := job.Macro{Key: strings.TrimPrefix(strings.TrimSpace(name), "$$"), Value: value}
		if !found || m.Key == "" || !utf8.ValidString(line) || strings.ContainsRune(line, 0) {
			return nil, invalidField("Parameter file '%s', line %d: not NAME=value", short(key), n)
		}
		if err := checkMacro(m); err != nil {
			return nil, invalidField("Parameter file '%s', line %d: %s", short(key), n, shownOf(err))
		}
		if i, again := at[m.Key]; again {
			values[i] = m // the last one counts
			continue
		}
		if len(values) == maxMacros {
			return nil, invalidField("Parameter file '%s' has more than %d values", short(key), maxMacros)
		}
		at[m.Key] = len(values)
		values = append(values, m)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, invalidField("Parameter file '%s' has a line that is too long", short(key))
	}
	return values, lines.Err()
}

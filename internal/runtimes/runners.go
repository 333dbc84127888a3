package runtimes

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"waybill/internal/job"
)

// Runner is an entry of the command runner table: entry points that match are run by this command. It is how a licensed
// engine, or any other tool, runs packages of its own kind.
type Runner struct {
	Name        string            `yaml:"name"`        // what waybill.yaml may name as a runtime
	Match       []string          `yaml:"match"`       // patterns of the entry point's path or its last part, as path.Match has them; case is ignored
	Command     []string          `yaml:"command"`     // the program and its words, with placeholders
	Environment map[string]string `yaml:"environment"` // with placeholders; it comes before macros of the same name
	Read        []string          `yaml:"read"`        // folders and files of the worker that the command needs, absolute
}

// plain placeholders of a command; {macro:NAME} and, as a word of its own, {arguments} come beside them.
var placeholders = map[string]func(Program) string{
	"entryPoint":  Program.file,
	"member":      func(p Program) string { return p.Entry.Member },
	"packageDir":  func(p Program) string { return p.Tree },
	"outDir":      func(p Program) string { return p.OutDir },
	"specDir":     func(p Program) string { return p.SpecDir },
	"tempDir":     func(p Program) string { return p.TempDir },
	"jobId":       func(p Program) string { return p.JobID },
	"jobConfigId": func(p Program) string { return p.JobConfigID },
}

const argumentsWord = "{arguments}"

var (
	runnerName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	envName    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// CheckRunners tells all that is wrong with a table, naming the entry and the member.
func CheckRunners(list []Runner) error {
	var faults []error
	seen := map[string]bool{}
	for i, r := range list {
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Errorf("runners: entry %d (%q): "+format, append([]any{i + 1, r.Name}, args...)...))
		}
		switch {
		case !runnerName.MatchString(r.Name):
			fault("name has small letters, digits, '-' and '_', begins with a letter and is 63 characters long at most")
		case slices.Contains(builtin, r.Name):
			fault("the name is that of a built-in runtime")
		case seen[r.Name]:
			fault("the name is taken by another entry")
		}
		seen[r.Name] = true
		for _, pattern := range r.Match {
			if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
				fault("match has %q, which is no pattern", pattern)
			}
		}
		r.check(fault)
	}
	return errors.Join(faults...)
}

func (r Runner) check(fault func(string, ...any)) {
	if len(r.Command) == 0 || r.Command[0] == "" {
		fault("command is empty")
		return
	}
	if strings.ContainsAny(r.Command[0], "{}") {
		fault("command begins with a placeholder; it begins with a program")
	}
	if strings.Contains(r.Command[0], "/") && !filepath.IsAbs(r.Command[0]) {
		fault("command begins with a relative path; it begins with a name on the PATH or an absolute path")
	}
	for _, word := range r.Command[1:] {
		if word == argumentsWord {
			continue
		}
		if err := eachPlaceholder(word, func(string) (string, error) { return "", nil }, nil); err != nil {
			fault("command has %q: %s", word, err)
		}
	}
	for name, value := range r.Environment {
		if !envName.MatchString(name) {
			fault("environment has %q, which is no name of a variable", name)
		}
		if err := eachPlaceholder(value, func(string) (string, error) { return "", nil }, nil); err != nil {
			fault("environment %s: %s", name, err)
		}
	}
	for _, p := range r.Read {
		if !filepath.IsAbs(p) || filepath.Clean(p) == "/" {
			fault("read has %q, which is no absolute path below the root", p)
		}
	}
}

// eachPlaceholder writes text to out with every {word} replaced; "{{" and "}}" stand for the braces themselves.
func eachPlaceholder(text string, macro func(name string) (string, error), out func(plain, word string) error) error {
	if out == nil {
		out = func(string, string) error { return nil }
	}
	var plain strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case (c == '{' || c == '}') && i+1 < len(text) && text[i+1] == c:
			plain.WriteByte(c)
			i++
		case c == '{':
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return errors.New("a brace is not closed; write {{ for a brace itself")
			}
			word := text[i+1 : i+end]
			name, isMacro := strings.CutPrefix(word, "macro:")
			if _, known := placeholders[word]; !known && !(isMacro && name != "") {
				return fmt.Errorf("unknown placeholder {%s}", word)
			}
			if err := out(plain.String(), ""); err != nil {
				return err
			}
			plain.Reset()
			if isMacro {
				value, err := macro(name)
				if err != nil {
					return err
				}
				if err := out(value, ""); err != nil {
					return err
				}
			} else if err := out("", word); err != nil {
				return err
			}
			i += end
		default:
			plain.WriteByte(c)
		}
	}
	return out(plain.String(), "")
}

// fill replaces the placeholders of one word.
func (r Runner) fill(text string, p Program) (string, error) {
	var b strings.Builder
	err := eachPlaceholder(text, func(name string) (string, error) {
		if p.Macro != nil {
			if v, ok := p.Macro(name); ok {
				return v, nil
			}
		}
		return "", job.Errorf(job.Invalid, job.WordInvalidField, "Macro '%s' is not set, and the runner '%s' that runs %s needs it", name, r.Name, p.shown())
	}, func(plain, word string) error {
		b.WriteString(plain)
		if word != "" {
			b.WriteString(placeholders[word](p))
		}
		return nil
	})
	return b.String(), err
}

// match finds the first entry of the table that an entry point is run by.
func (t *Table) match(member string) (Runner, bool) {
	whole, base := strings.ToLower(member), strings.ToLower(path.Base(member))
	for _, r := range t.runners {
		for _, pattern := range r.Match {
			pattern = strings.ToLower(pattern)
			for _, name := range []string{base, whole} {
				if ok, _ := path.Match(pattern, name); ok { // checked at the start
					return r, true
				}
			}
		}
	}
	return Runner{}, false
}

// command makes the command of a program that this entry runs.
func (r Runner) command(p Program) (Command, error) {
	program, err := exec.LookPath(r.Command[0])
	if err == nil {
		program, err = filepath.Abs(program)
	}
	if err != nil {
		return Command{}, job.Wrap(err, job.Invalid, job.WordEngineMissing,
			"The engine '%s' that runs %s is not installed on this worker (engine_missing): see command of '%s' in the setting 'runners'",
			r.Command[0], p.shown(), r.Name)
	}
	c := Command{Runtime: r.Name, Interpreter: program, Path: program, Argv: []string{program}, Fixed: map[string]string{}}
	given := false
	for _, word := range r.Command[1:] {
		if word == argumentsWord {
			c.Argv, given = append(c.Argv, p.Arguments...), true
			continue
		}
		filled, err := r.fill(word, p)
		if err != nil {
			return Command{}, err
		}
		c.Argv = append(c.Argv, filled)
	}
	if !given {
		c.Argv = append(c.Argv, p.Arguments...)
	}
	for name, value := range r.Environment {
		if c.Fixed[name], err = r.fill(value, p); err != nil {
			return Command{}, err
		}
	}
	c.Read = []string{program}
	for _, path := range r.Read {
		if _, err := os.Stat(path); err == nil { // the sandbox can not open what is not there
			c.Read = append(c.Read, path)
		}
	}
	return c, nil
}

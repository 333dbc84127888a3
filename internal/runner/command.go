package runner

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"waybill/internal/job"
)

// command is a program to start.
type command struct {
	path string // absolute
	argv []string
	dir  string
	env  []string
}

// interpreters by the ending of the entry point, for files that do not name their own in a #! line.
var interpreters = map[string]string{".sh": "/bin/sh", ".py": "python3", ".js": "node", ".mjs": "node", ".cjs": "node"}

// commandFor decides how a file is run: by its #! line (the x bit is not needed), by its ending, or as a native
// executable. A #! line that names an interpreter which is not there gives way to the ending's.
func commandFor(file, shown string) (path string, argv []string, err error) {
	head, err := readHead(file)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil, invalidEntry("Entry point '%s' is not in the package", shown)
		}
		return "", nil, err
	}
	byEnding := interpreters[strings.ToLower(filepath.Ext(file))]
	if line, ok := shebang(head); ok {
		path, argv, err := fromShebang(line, file, shown)
		if err == nil || byEnding == "" {
			return path, argv, err
		}
	}
	if byEnding != "" {
		path, err := lookUp(byEnding, shown)
		return path, []string{path, file}, err
	}
	if bytes.HasPrefix(head, []byte("\x7fELF")) {
		return file, []string{file}, nil
	}
	return "", nil, invalidEntry("Entry point '%s' can not be run: it is neither a script (.sh, .py, .js, .mjs, .cjs) nor a native executable, "+
		"and does not begin with #!", shown)
}

func readHead(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:n], err
}

// shebang gives what follows #! on the first line.
func shebang(head []byte) (string, bool) {
	rest, found := bytes.CutPrefix(head, []byte("#!"))
	if !found {
		return "", false
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return strings.TrimSpace(strings.TrimRight(string(line), "\r")), true
}

// fromShebang does what Linux does, where all behind the interpreter is one argument, and resolves "/usr/bin/env X" itself,
// so that a missing X can be named.
func fromShebang(line, file, shown string) (string, []string, error) {
	name, arg, _ := strings.Cut(line, " ")
	if i := strings.IndexByte(name, '\t'); i >= 0 {
		name, arg = name[:i], name[i+1:]+" "+arg
	}
	arg = strings.TrimSpace(arg)
	var args []string
	if arg != "" {
		args = []string{arg}
	}
	if filepath.Base(name) == "env" && arg != "" {
		words := strings.Fields(strings.TrimSpace(strings.TrimPrefix(arg, "-S")))
		if len(words) > 0 && !strings.HasPrefix(words[0], "-") && !strings.Contains(words[0], "=") {
			name, args = words[0], words[1:]
		}
	}
	if name == "" {
		return "", nil, invalidEntry("Entry point '%s' has a #! line that names no interpreter", shown)
	}
	path, err := lookUp(name, shown)
	return path, append(append([]string{path}, args...), file), err
}

// lookUp finds an interpreter on the server's PATH. A macro named PATH has no say in it.
func lookUp(name, shown string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", job.Wrap(err, job.Invalid, job.WordInterpreterMissing, "Interpreter '%s' of entry point '%s' is not installed on this worker",
			name, shown)
	}
	return path, nil
}

func invalidEntry(format string, args ...any) error {
	return job.Errorf(job.Invalid, job.WordInvalidPackage, format, args...)
}

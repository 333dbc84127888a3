package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"waybill/internal/archive"
	"waybill/internal/job"
	"waybill/internal/modules"
)

// Where a job's in messages lie: the index (WAYBILL_IN_FILE) and a file with each body (WAYBILL_IN_DIR). Both are made only for
// jobs that are given any.
const (
	inFile   = "messages.json"
	inFolder = "messages"
)

// inMessage is an entry of the index.
type inMessage struct {
	Name       string            `json:"name"`
	File       string            `json:"file"` // with the body
	Properties map[string]string `json:"properties"`
}

// layMessages writes the in messages. Their names were checked when the job was accepted, and are again: they become names of
// files.
func (e *Execution) layMessages() error {
	messages := e.req.Job.Spec.InMessages
	if len(messages) == 0 {
		return nil
	}
	if err := job.CheckMessages("inMessages", messages); err != nil {
		return err
	}
	root, err := os.OpenRoot(e.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Mkdir(inFolder, 0o700); err != nil {
		return err
	}
	index := make([]inMessage, 0, len(messages))
	for _, m := range messages {
		if err := root.WriteFile(filepath.Join(inFolder, m.Name), []byte(m.Body), 0o600); err != nil {
			return fmt.Errorf("in message: %w", err)
		}
		one := inMessage{Name: m.Name, File: filepath.Join(e.dir, inFolder, m.Name), Properties: map[string]string{}}
		for _, p := range m.Properties {
			one.Properties[p.Key] = p.Value
		}
		index = append(index, one)
	}
	text, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return root.WriteFile(inFile, text, 0o600)
}

// talkVariables are the variables by which a program finds its messages and the helpers.
func (e *Execution) talkVariables() (map[string]string, error) {
	vars := map[string]string{}
	if len(e.req.Job.Spec.InMessages) > 0 {
		vars["WAYBILL_IN_DIR"] = filepath.Join(e.dir, inFolder)
		vars["WAYBILL_IN_FILE"] = filepath.Join(e.dir, inFile)
	}
	if names := e.req.Job.Spec.OutMessageNames; len(names) > 0 {
		text, err := json.Marshal(names)
		if err != nil {
			return nil, err
		}
		vars["WAYBILL_OUT_MESSAGES"] = string(text)
	}
	return vars, nil
}

// ReadFile reads at most limit bytes of a file in the job's folder, for a program that points to one. It goes by the
// folder's handle and takes regular files only: the program may have laid links to what the sandbox keeps from it.
func (e *Execution) ReadFile(name string, limit int64) (_ []byte, err error) {
	if filepath.IsAbs(name) {
		if name, err = filepath.Rel(e.dir, name); err != nil {
			return nil, err
		}
	} else {
		name = filepath.Join("out", name)
	}
	if !filepath.IsLocal(name) {
		return nil, fs.ErrPermission
	}
	root, err := os.OpenRoot(e.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if info, err := root.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fs.ErrInvalid)
	}
	// Whatever was put there since, opening it waits for nobody.
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fs.ErrInvalid)
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// filesLooked bounds how many entries one look at the output folder visits.
const filesLooked = 5 * job.MaxOutFilesShown

// FilesNow lists what lies in LOCAL_JOB_OUT_DIR while the program runs, by name: the first MaxOutFilesShown files whose names
// can be kept. What can not be read is not in it; whether the files may be kept is for Outputs to say.
func (e *Execution) FilesNow() []job.Output {
	root, err := e.openOutputs()
	if err != nil || root == nil {
		return nil
	}
	defer root.Close()
	var files []job.Output
	looked := 0
	for folders := []string{"."}; len(folders) > 0 && looked < filesLooked && len(files) < job.MaxOutFilesShown; folders = folders[1:] {
		f, err := root.Open(folders[0])
		if err != nil { // gone since, or not to be read
			continue
		}
		entries, _ := f.ReadDir(filesLooked - looked) // those that were read before an error are there all the same
		_ = f.Close()
		looked += len(entries)
		for _, d := range entries {
			name := path.Join(folders[0], d.Name())
			if d.IsDir() {
				folders = append(folders, name)
				continue
			}
			if !d.Type().IsRegular() || checkOutputName(name) != nil || len(files) == job.MaxOutFilesShown {
				continue
			}
			if info, err := root.Lstat(name); err == nil && info.Mode().IsRegular() {
				files = append(files, job.Output{Name: name, Size: info.Size(), CreatedAt: info.ModTime().UTC()})
			}
		}
	}
	slices.SortFunc(files, func(a, b job.Output) int { return strings.Compare(a.Name, b.Name) })
	return files
}

// layHelpers gives the folder with the modules that programs may use. Where nothing keeps a program from writing to it, the
// job has its own.
func (e *Execution) layHelpers() (string, error) {
	if e.runner.sandbox.Enforced() {
		return e.runner.helpers, nil
	}
	dir := filepath.Join(e.dir, "helpers")
	return dir, modules.Lay(dir)
}

// openHelpers lays the modules anew: those of another version may be there.
func (r *Runner) openHelpers() error {
	r.helpers = filepath.Join(r.work, "helpers")
	if err := archive.Remove(r.helpers); err != nil {
		return err
	}
	return modules.Lay(r.helpers)
}

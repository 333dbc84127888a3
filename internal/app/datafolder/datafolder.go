// Package datafolder is the one folder that a Waybill on one machine keeps everything in: its lock, its run.json, the first
// password. It imports a file-lock library and nothing else of Waybill.
package datafolder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// Folder is the data folder. One process holds it at a time.
//
//	engine/         the embedded Temporal's files, nothing else
//	engine-token    what clients of the embedded Temporal must show
//	objects/        the object store's files
//	waybill.db      accounts, configs, jobs
//	master.key      the key that secrets are sealed with
//	admin-password  the password made at the first start
//	work/           package cache and job folders; rubbish when no process runs
//	spool/          uploads on their way; rubbish when no process runs
//	endpoints.json  addresses and keys of the engine's parts, kept over restarts
//	workers/        the work folders of worker processes beside it
//	run.json        addresses of the running process
//	lock            held while a process runs
type Folder struct {
	path string
	lock *flock.Flock
}

// Open makes the folder if need be, and takes it for this process.
func Open(path string) (*Folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("the data folder %s can not be made: %w", path, cause(err))
	}
	f := &Folder{path: path, lock: flock.New(filepath.Join(path, "lock"), flock.SetPermissions(0o600))}
	held, err := f.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("the data folder %s can not be written: %w", path, cause(err))
	}
	if !held {
		return nil, fmt.Errorf("the data folder %s is in use%s; stop that process or choose another --data", path, f.holder())
	}
	// What an unclean end left behind.
	if err := errors.Join(os.RemoveAll(f.At("spool")), f.RemoveRun()); err != nil {
		return nil, errors.Join(fmt.Errorf("the data folder %s can not be written: %w", path, cause(err)), f.Close())
	}
	if err := os.MkdirAll(f.At("spool"), 0o700); err != nil {
		return nil, errors.Join(fmt.Errorf("the data folder %s can not be written: %w", path, cause(err)), f.Close())
	}
	return f, nil
}

// At is the path of a file of the folder.
func (f *Folder) At(name string) string { return filepath.Join(f.path, name) }

// holder names the process that holds the folder, as far as its run.json tells.
func (f *Folder) holder() string {
	text, err := os.ReadFile(f.At("run.json"))
	var r RunFile
	if err != nil || json.Unmarshal(text, &r) != nil {
		return " by another process"
	}
	return fmt.Sprintf(" by process %d at %s", r.PID, r.URL)
}

// Close gives the folder back.
func (f *Folder) Close() error { return f.lock.Unlock() }

// RunFile is run.json: how to reach the running process.
type RunFile struct {
	PID               int    `json:"pid"`
	URL               string `json:"url"`
	Listen            string `json:"listen"` // host:port of the REST server, also when url is another address in front of it
	TemporalAddress   string `json:"temporalAddress"`
	TemporalNamespace string `json:"temporalNamespace"`
	TemporalUI        string `json:"temporalUI"` // empty with an external Temporal
	// The embedded Temporal asks for no token.
	TemporalOpen bool   `json:"temporalOpen,omitempty"`
	AdminUser    string `json:"adminUser"`
	// Which components are not in the folder: somebody else's database or object store.
	ExternalDatabase bool `json:"externalDatabase,omitempty"`
	ExternalObjects  bool `json:"externalObjects,omitempty"`
}

// ReadRun reads how to reach the process that runs on a data folder.
func ReadRun(data string) (r RunFile, err error) {
	text, err := os.ReadFile(filepath.Join(data, "run.json"))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

// WriteRun tells others how to reach this process.
func (f *Folder) WriteRun(r RunFile) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeWhole(f.At("run.json"), append(text, '\n'))
}

// RemoveRun takes that back.
func (f *Folder) RemoveRun() error {
	if err := os.Remove(f.At("run.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// AdminPassword gives the password the first start is to use: the one given, the one an earlier, unfinished first start
// kept, or a new one, which is kept before the user is made so that it can not be lost.
func (f *Folder) AdminPassword(given string, random func() string) (password string, made bool, err error) {
	if given != "" {
		return given, false, nil
	}
	path := f.At("admin-password")
	if text, err := os.ReadFile(path); err == nil && len(strings.TrimSpace(string(text))) > 0 {
		return strings.TrimSpace(string(text)), true, nil
	}
	password = random()
	return password, true, writeWhole(path, []byte(password+"\n"))
}

// ReadAdminPassword reads the password a first start made and kept in the data folder.
func ReadAdminPassword(data string) (string, error) {
	text, err := os.ReadFile(filepath.Join(data, "admin-password"))
	return strings.TrimSpace(string(text)), err
}

// writeWhole makes a private file that is whole or not there at all.
func writeWhole(path string, text []byte) error {
	temp := path + ".new"
	if err := os.WriteFile(temp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// cause takes the path out of a path error: the message around it names it already.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

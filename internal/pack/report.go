package pack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"waybill/internal/archive"
	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/manifest"
)

// Report is what an upload would see, and what an author may want to know before.
type Report struct {
	Package     string           `json:"package"`          // file name, which a file key ends in
	SHA256      string           `json:"sha256,omitempty"` // hex, of the packed bytes
	Size        int64            `json:"size,omitempty"`   // bytes, packed
	Files       int              `json:"files,omitempty"`
	EntryPoints []string         `json:"entryPoints"`
	Default     string           `json:"defaultEntryPoint,omitempty"`
	Manifest    *job.Manifest    `json:"manifest,omitempty"`
	Errors      []manifest.Fault `json:"errors"`   // an upload is refused
	Warnings    []manifest.Fault `json:"warnings"` // it is taken, but may not do what its author means

	archive job.Archive
}

// OK tells whether an upload would be taken.
func (r *Report) OK() bool { return len(r.Errors) == 0 }

// refused enters an error of the code that reads uploads. Other errors are returned: they say nothing about the package.
func (r *Report) refused(err error) error {
	var faults *manifest.Faults
	var known *job.Error
	switch {
	case errors.As(err, &faults):
		for _, f := range faults.List {
			f.File = faults.Name
			r.Errors = append(r.Errors, f)
		}
	case errors.As(err, &known) && known.Code == job.Invalid:
		r.Errors = append(r.Errors, manifest.Fault{Text: known.Message})
	default:
		return err
	}
	return nil
}

// Build makes the archive of a folder at out, whose ending says of which kind. The archive appears under its name when it is
// whole and an upload of it would be taken; otherwise the report tells why there is none.
func Build(ctx context.Context, dir, out string) (*Report, error) {
	return build(ctx, dir, out, true)
}

func build(ctx context.Context, dir, out string, keep bool) (_ *Report, err error) {
	files, err := list(dir, out)
	if err != nil {
		return nil, err
	}
	folder := filepath.Dir(out)
	if !keep {
		folder = ""
	}
	temp, err := os.CreateTemp(folder, ".waybill-*")
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, ignoreClosed(temp.Close()))
		if rm := os.Remove(temp.Name()); rm != nil && !errors.Is(rm, os.ErrNotExist) {
			err = errors.Join(err, rm)
		}
	}()
	if err := write(ctx, temp, filepath.Base(out), files); err != nil {
		return nil, err
	}
	r, err := inspect(ctx, temp, filepath.Base(out))
	if err != nil {
		return nil, err
	}
	r.Files = len(files)
	if err := advise(r, dir, files); err != nil || !keep || !r.OK() {
		return r, err
	}
	if err := errors.Join(temp.Chmod(0o644), temp.Close()); err != nil {
		return nil, err
	}
	return r, os.Rename(temp.Name(), out)
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// Inspect tells what an upload of a file would see, or of the archive that Build would make of a folder.
func Inspect(ctx context.Context, name string) (*Report, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return build(ctx, name, FileName(name), false)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := inspect(ctx, f, filepath.Base(name))
	if err != nil || !r.OK() {
		return r, err
	}
	return r, adviseArchive(ctx, r, f)
}

// inspect reads a file as an upload does.
func inspect(ctx context.Context, f *os.File, key string) (*Report, error) {
	r := &Report{Package: key, EntryPoints: []string{}, Errors: []manifest.Fault{}, Warnings: []manifest.Fault{}}
	if err := control.CheckKey(key); err != nil {
		return r, r.refused(err)
	}
	sum := sha256.New()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	var err error
	if r.Size, err = io.Copy(sum, &bounded{ctx, f}); err != nil {
		return nil, err
	}
	r.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if archive.IsArchive(key) {
		if r.archive, err = archive.Inspect(ctx, f, r.Size, key, archive.DefaultLimits); err != nil {
			return r, r.refused(err)
		}
	} else { // a single file is its own entry point
		r.archive = job.Archive{EntryPoints: []string{key}, Main: key}
	}
	r.EntryPoints = append(r.EntryPoints, r.archive.EntryPoints...)
	r.Default, r.Manifest = r.archive.Default(), r.archive.Manifest
	return r, nil
}

// FileName is what the package of a folder is called when nobody says otherwise: name and version of its waybill.yaml, or
// the folder's name.
func FileName(dir string) string {
	name := folderName(dir)
	if m := readManifest(dir); m.Name != "" {
		name = plain(m.Name)
		if m.Version != "" {
			name += "-" + plain(m.Version)
		}
	}
	if name = strings.Trim(name, ".-"); name == "" {
		name = "package"
	}
	return name + ".djar"
}

func folderName(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return plain(filepath.Base(dir))
}

// plain leaves what any file system takes.
func plain(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._+-", c) {
			return c
		}
		return '-'
	}, s)
}

// readManifest reads a folder's waybill.yaml for its name; what is wrong with it is told when the package is inspected.
func readManifest(dir string) job.Manifest {
	for _, name := range manifest.Names {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, manifest.MaxSize+1))
		if err != nil {
			continue
		}
		if m, err := manifest.Parse(name, text, nil); err == nil {
			return m
		}
	}
	return job.Manifest{}
}

// Text is the report for people.
func (r *Report) Text() string {
	var b strings.Builder
	line := func(name, value string) { fmt.Fprintf(&b, "%-14s%s\n", name, value) }
	line("package", r.Package)
	if r.SHA256 != "" {
		line("sha256", r.SHA256)
		line("size", fmt.Sprintf("%d bytes", r.Size))
	}
	if r.Files > 0 {
		line("files", fmt.Sprint(r.Files))
	}
	if m := r.Manifest; m != nil && m.Name != "" {
		line("manifest", strings.TrimSpace(m.Name+" "+m.Version))
	}
	for _, name := range r.EntryPoints {
		what := name
		if m := r.entryPoint(name); m != nil && m.Path != name {
			what += " (" + m.Path + ")"
		}
		if name == r.Default {
			what += ", the default"
		}
		line("entry point", what)
	}
	if r.Manifest != nil {
		for _, m := range r.Manifest.Macros {
			line("macro", macroText(m))
		}
	}
	for _, f := range r.Warnings {
		line("warning", f.String())
	}
	for _, f := range r.Errors {
		line("error", f.String())
	}
	return b.String()
}

func (r *Report) entryPoint(name string) *job.EntryPoint {
	if r.Manifest == nil {
		return nil
	}
	for i, e := range r.Manifest.EntryPoints {
		if e.Name == name {
			return &r.Manifest.EntryPoints[i]
		}
	}
	return nil
}

func macroText(m job.MacroRule) string {
	text := m.Name
	if m.Required {
		text += ", required"
	}
	if m.Secure {
		text += ", secure"
	}
	if m.Default != nil {
		text += fmt.Sprintf(", default %q", *m.Default)
	}
	return text
}

// base is the last part of a member's name.
func base(member string) string { return strings.ToLower(path.Base(member)) }

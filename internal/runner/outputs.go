package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"waybill/internal/job"
)

// maxOutputName is in bytes: an object key has room for 1,024, with the job's prefix in front.
const maxOutputName = 900

// Outputs hands every regular file left in LOCAL_JOB_OUT_DIR to put, which stores size bytes from r under the name, and
// lists them in byte order of the names. A secret in a name is masked. Links, sockets and the like are not followed and not kept; the log says so. Too
// many or too large files and names that can not be kept are a job.Invalid error, and then nothing is put. It must not
// be called before Run has returned: the files are final then.
func (e *Execution) Outputs(ctx context.Context, put func(ctx context.Context, name string, r io.Reader, size int64) error) ([]job.Output, error) {
	root, err := e.openOutputs()
	if err != nil || root == nil {
		return nil, err
	}
	defer root.Close()
	outputs, err := e.survey(root)
	if err != nil {
		return nil, e.maskError(err)
	}
	shown := e.maskNames(outputs)
	for i := range outputs {
		if outputs[i].SHA256, err = hand(ctx, root, outputs[i], shown[i], put); err != nil {
			return nil, e.maskError(err)
		}
		outputs[i].CreatedAt = e.runner.cfg.Now()
	}
	for i := range outputs {
		outputs[i].Name = shown[i]
	}
	slices.SortFunc(outputs, func(a, b job.Output) int { return strings.Compare(a.Name, b.Name) })
	return outputs, nil
}

// maskNames gives the names that the files are stored and shown under: their own, with secrets hidden. Two that would be
// the same then are told apart by a number.
func (e *Execution) maskNames(outputs []job.Output) []string {
	names := make([]string, len(outputs))
	taken := map[string]bool{}
	for i, o := range outputs {
		if e.Mask(o.Name) == o.Name {
			names[i], taken[o.Name] = o.Name, true
		}
	}
	for i, o := range outputs {
		if names[i] != "" {
			continue
		}
		masked := e.Mask(o.Name)
		names[i] = masked
		for n := 2; taken[names[i]]; n++ {
			names[i] = masked + "-" + strconv.Itoa(n)
		}
		taken[names[i]] = true
	}
	return names
}

// openOutputs opens LOCAL_JOB_OUT_DIR; nil when the program has removed it. The program may have put anything in its
// place: a link would have the server, which the sandbox does not hold, hand out whatever it points to.
func (e *Execution) openOutputs() (*os.Root, error) {
	folder, err := os.OpenRoot(e.dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	info, err := folder.Lstat("out")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, job.Errorf(job.Invalid, job.WordInvalidField, "The program has put something else in the place of LOCAL_JOB_OUT_DIR")
	}
	root, err := folder.OpenRoot("out")
	if errors.Is(err, fs.ErrPermission) {
		return nil, job.Errorf(job.Invalid, job.WordInvalidField, "LOCAL_JOB_OUT_DIR can not be read")
	}
	return root, err
}

// survey lists the files and checks them against the limits.
func (e *Execution) survey(root *os.Root) ([]job.Output, error) {
	var outputs []job.Output
	var total int64
	cfg := e.runner.cfg
	err := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrPermission) {
			return job.Errorf(job.Invalid, job.WordInvalidField, "Output folder %q can not be read", short(name))
		}
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return e.Notef("output %q is no regular file and is not kept", name)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if err := checkOutputName(name); err != nil {
			return err
		}
		if info.Size() > cfg.OutFileBytes && cfg.OutFileBytes < cfg.OutBytes {
			return job.Errorf(job.Invalid, job.WordTooLarge, "Output file %q is larger than %d bytes", short(name), cfg.OutFileBytes)
		}
		if total += info.Size(); total > cfg.OutBytes {
			return job.Errorf(job.Invalid, job.WordTooLarge, "The output files are larger than %d bytes together", cfg.OutBytes)
		}
		if outputs = append(outputs, job.Output{Name: name, Size: info.Size()}); len(outputs) > cfg.OutFiles {
			return job.Errorf(job.Invalid, job.WordTooLarge, "There are more than %d output files", cfg.OutFiles)
		}
		return nil
	})
	return outputs, err
}

func checkOutputName(name string) error {
	switch {
	case !utf8.ValidString(name):
		return job.Errorf(job.Invalid, job.WordInvalidField, "The name of output file %q is not UTF-8", short(name))
	case strings.ContainsFunc(name, unicode.IsControl):
		return job.Errorf(job.Invalid, job.WordInvalidField, "The name of output file %q has control characters", short(name))
	case len(name) > maxOutputName:
		return job.Errorf(job.Invalid, job.WordInvalidField, "The name of output file %q is longer than %d bytes", short(name), maxOutputName)
	default:
		return nil
	}
}

func short(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

// hand opens one file without following links, hashes it while it is stored, and gives its digest.
func hand(ctx context.Context, root *os.Root, o job.Output, shown string, put func(context.Context, string, io.Reader, int64) error) (string, error) {
	f, err := root.Open(filepath.FromSlash(o.Name))
	if errors.Is(err, fs.ErrPermission) {
		return "", job.Errorf(job.Invalid, job.WordInvalidField, "Output file %q can not be read", short(o.Name))
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if err := put(ctx, shown, io.TeeReader(io.LimitReader(f, o.Size), sum), o.Size); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

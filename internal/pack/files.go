package pack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// IgnoreFile names what stays out of a package, as a .dockerignore does for an image.
const IgnoreFile = ".waybillignore"

// ignored is what no package wants. The file of a folder comes after it and may take something back in with "!".
var ignored = []string{
	".git", ".hg", ".svn", IgnoreFile, "**/.DS_Store", "**/__pycache__", "**/*.pyc", "**/.venv", "**/.idea", "**/.vscode",
}

// file is what becomes a member.
type file struct {
	name       string // with slashes
	path       string // on disk
	link       string // symbolic links only
	dir        bool   // an empty folder; others are implied
	executable bool
	size       int64
}

// list finds the members of a folder, in byte order. skip is left out: the archive of an earlier build.
func list(dir, skip string) ([]file, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", dir)
	}
	patterns, err := ignorePatterns(dir)
	if err != nil {
		return nil, err
	}
	l := &lister{patterns: patterns}
	if skip != "" {
		if l.skip, err = os.Stat(skip); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if err := l.folder(dir, ""); err != nil {
		return nil, err
	}
	slices.SortFunc(l.files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return l.files, nil
}

func ignorePatterns(dir string) (*patternmatcher.PatternMatcher, error) {
	all := slices.Clone(ignored)
	f, err := os.Open(filepath.Join(dir, IgnoreFile))
	switch {
	case err == nil:
		defer f.Close()
		own, err := ignorefile.ReadAll(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", IgnoreFile, err)
		}
		all = append(all, own...)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	patterns, err := patternmatcher.New(all)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", IgnoreFile, err)
	}
	return patterns, nil
}

type lister struct {
	patterns *patternmatcher.PatternMatcher
	skip     fs.FileInfo
	files    []file
}

func (l *lister) folder(dir, below string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := l.entry(dir, below, e); err != nil {
			return err
		}
	}
	if len(entries) == 0 && below != "" {
		l.files = append(l.files, file{name: below, dir: true})
	}
	return nil
}

func (l *lister) entry(dir, below string, e fs.DirEntry) error {
	f := file{name: path.Join(below, e.Name()), path: filepath.Join(dir, e.Name())}
	out, err := l.patterns.MatchesOrParentMatches(filepath.FromSlash(f.name))
	if err != nil {
		return fmt.Errorf("%s: %w", IgnoreFile, err)
	}
	if e.IsDir() {
		if out && !l.patterns.Exclusions() { // nothing below it can come back
			return nil
		}
		return l.folder(f.path, f.name)
	}
	if out {
		return nil
	}
	info, err := e.Info()
	if err != nil {
		return err
	}
	if l.skip != nil && os.SameFile(info, l.skip) {
		return nil
	}
	switch info.Mode().Type() {
	case 0:
		f.executable, f.size = info.Mode()&0o111 != 0, info.Size()
	case fs.ModeSymlink:
		if f.link, err = os.Readlink(f.path); err != nil {
			return err
		}
		f.link = filepath.ToSlash(f.link)
	default:
		return fmt.Errorf("%s is neither a file, a folder nor a link; name it in %s", f.path, IgnoreFile)
	}
	l.files = append(l.files, f)
	return nil
}

package manifest

import (
	"fmt"
	"strings"

	"waybill/internal/job"
)

// Fault is one thing wrong with a manifest.
type Fault struct {
	File   string `json:"file,omitempty"`   // set by tools that look at more than the manifest
	Line   int    `json:"line,omitempty"`   // from 1; 0: the text as a whole
	Member string `json:"member,omitempty"` // entryPoints[0].path, for example
	Text   string `json:"text"`             // what is wrong with it
}

func (f Fault) String() string {
	var b strings.Builder
	switch {
	case f.File != "" && f.Line > 0:
		fmt.Fprintf(&b, "%s, line %d: ", f.File, f.Line)
	case f.File != "":
		b.WriteString(f.File + ": ")
	case f.Line > 0:
		fmt.Fprintf(&b, "line %d: ", f.Line)
	}
	if f.Member != "" {
		b.WriteString(f.Member + " ")
	}
	return b.String() + f.Text
}

// Faults is all that is wrong with a manifest, in the order of its lines. Parse wraps it, so that a tool for authors can
// show each by itself.
type Faults struct {
	Name string // of the file, as it lies in the package
	List []Fault
}

// told is how many faults one error message names.
const told = 5

func (f *Faults) Error() string {
	var b strings.Builder
	for i, one := range f.List {
		if i == told {
			fmt.Fprintf(&b, "; and %d more", len(f.List)-told)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(one.String())
	}
	return b.String()
}

// invalid is the error of a manifest that can not be used.
func (f *Faults) invalid() error {
	return job.Wrap(f, job.Invalid, job.WordInvalidPackage, "%s, %s", f.Name, f.Error())
}

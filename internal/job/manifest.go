package job

import "cmp"

// Manifest is what a package says about itself in its waybill.yaml. Every member is optional; the zero value says nothing.
type Manifest struct {
	Folder      string       `json:"folder,omitempty"` // of waybill.yaml: the project folder, or empty for the package's top
	Name        string       `json:"name,omitempty"`
	Version     string       `json:"version,omitempty"` // for people; what is run is known by its sha256
	Description string       `json:"description,omitempty"`
	EntryPoints []EntryPoint `json:"entryPoints,omitempty"` // the first is the default
	Macros      []MacroRule  `json:"macros,omitempty"`
	InMessages  []string     `json:"inMessages,omitempty"`  // names of messages it expects
	OutMessages []string     `json:"outMessages,omitempty"` // names of messages it gives
	Resources   Resources    `json:"resources,omitzero"`    // asked for; a job config's own come first, member by member
}

// EntryPoint is a way to run a package.
type EntryPoint struct {
	Name         string            `json:"name"`                   // what a job config names
	Path         string            `json:"path"`                   // of the member, with "/"
	Runtime      string            `json:"runtime,omitempty"`      // a name of internal/runtimes; empty: told by the file
	Arguments    []string          `json:"arguments,omitempty"`    // may hold $(NAME)
	Environment  map[string]string `json:"environment,omitempty"`  // may hold $(NAME); macros of the same name come first
	Dependencies []string          `json:"dependencies,omitempty"` // members such as requirements.txt; empty: those found beside the entry point
	Resources    Resources         `json:"resources,omitzero"`     // asked for; come before those of the package
}

// ResourcesOf is what the package asks for to run e, which may be nil.
func (m *Manifest) ResourcesOf(e *EntryPoint) Resources {
	switch {
	case m == nil:
		return Resources{}
	case e == nil:
		return m.Resources
	}
	return e.Resources.Over(m.Resources)
}

// MacroRule is a macro a package expects.
type MacroRule struct {
	Name        string  `json:"name"`
	Description string  `json:"description,omitempty"`
	Default     *string `json:"default,omitempty"` // nil: none
	Required    bool    `json:"required,omitempty"`
	Secure      bool    `json:"secure,omitempty"` // it holds a secret: hidden in logs whoever gives it
}

// Resources are upper limits for the processes of a job together (native.md, 4). Zero members leave it to the worker.
type Resources struct {
	MemoryMiB int     `json:"memoryMiB,omitempty"`
	CPUs      float64 `json:"cpus,omitempty"`
	Processes int     `json:"processes,omitempty"` // threads count
	OpenFiles int     `json:"openFiles,omitempty"` // of one process
	DiskMiB   int     `json:"diskMiB,omitempty"`   // in the job's folders
	Network   Network `json:"network,omitempty"`
}

// Over lays r over below: members that r leaves open are below's.
func (r Resources) Over(below Resources) Resources {
	return Resources{
		MemoryMiB: cmp.Or(r.MemoryMiB, below.MemoryMiB), CPUs: cmp.Or(r.CPUs, below.CPUs), Processes: cmp.Or(r.Processes, below.Processes),
		OpenFiles: cmp.Or(r.OpenFiles, below.OpenFiles), DiskMiB: cmp.Or(r.DiskMiB, below.DiskMiB), Network: cmp.Or(r.Network, below.Network),
	}
}

// Network is what a job sees of the network.
type Network string

// The networks. Empty: full.
const (
	NetworkFull Network = "full" // the worker's
	NetworkNone Network = "none" // a loopback of its own and nothing else
)

// Message is a named text that goes into a job or comes out of it (native.md, 4 and 6).
type Message struct {
	Name       string            `json:"name"`
	Body       string            `json:"body,omitempty"`
	Properties []MessageProperty `json:"properties,omitempty"`
}

// MessageProperty is a name and value beside a message's body.
type MessageProperty struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

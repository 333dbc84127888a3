package native

import "waybill/internal/job"

// packageManifest is what a package's waybill.yaml says, in the words of that file. A default of a macro is no secret: secure
// ones have none.
type packageManifest struct {
	Name        string              `json:"name,omitempty"`
	Version     string              `json:"version,omitempty" doc:"As the author wrote it; a version of the file is another thing"`
	Description string              `json:"description,omitempty"`
	EntryPoints []packageEntryPoint `json:"entryPoints,omitempty"`
	Macros      []packageMacro      `json:"macros,omitempty" doc:"Macros the package expects"`
	Messages    *packageMessages    `json:"messages,omitempty"`
	Resources   *packageResources   `json:"resources,omitempty"`
}

type packageEntryPoint struct {
	Name         string            `json:"name"`
	Path         string            `json:"path" doc:"Member of the package"`
	Runtime      string            `json:"runtime,omitempty"`
	Arguments    []string          `json:"arguments,omitempty"`
	Environment  map[string]string `json:"environment,omitempty"`
	Dependencies []string          `json:"dependencies,omitempty"`
	Resources    *packageResources `json:"resources,omitempty"`
}

type packageMacro struct {
	Name        string  `json:"name"`
	Description string  `json:"description,omitempty"`
	Default     *string `json:"default,omitempty" doc:"Its value when nobody gives one"`
	Required    bool    `json:"required" doc:"true: a job is not started without it"`
	Secure      bool    `json:"secure" doc:"true: it is sealed in the job and hidden in its log whoever gives it"`
}

type packageMessages struct {
	In  []string `json:"in,omitempty"`
	Out []string `json:"out,omitempty"`
}

type packageResources struct {
	MemoryMiB int     `json:"memoryMiB,omitempty"`
	CPUs      float64 `json:"cpus,omitempty"`
	Processes int     `json:"processes,omitempty"`
	OpenFiles int     `json:"openFiles,omitempty"`
	DiskMiB   int     `json:"diskMiB,omitempty"`
	Network   string  `json:"network,omitempty"`
}

func manifestShown(m *job.Manifest) *packageManifest {
	if m == nil {
		return nil
	}
	out := &packageManifest{Name: m.Name, Version: m.Version, Description: m.Description, Resources: resourcesAsked(m.Resources)}
	for _, e := range m.EntryPoints {
		out.EntryPoints = append(out.EntryPoints, packageEntryPoint{
			Name: e.Name, Path: e.Path, Runtime: e.Runtime, Arguments: e.Arguments, Environment: e.Environment, Dependencies: e.Dependencies,
			Resources: resourcesAsked(e.Resources),
		})
	}
	for _, r := range m.Macros {
		out.Macros = append(out.Macros, packageMacro{Name: r.Name, Description: r.Description, Default: r.Default, Required: r.Required, Secure: r.Secure})
	}
	if len(m.InMessages)+len(m.OutMessages) > 0 {
		out.Messages = &packageMessages{In: m.InMessages, Out: m.OutMessages}
	}
	return out
}

func resourcesAsked(r job.Resources) *packageResources {
	if r == (job.Resources{}) {
		return nil
	}
	return &packageResources{
		MemoryMiB: r.MemoryMiB, CPUs: r.CPUs, Processes: r.Processes, OpenFiles: r.OpenFiles, DiskMiB: r.DiskMiB, Network: string(r.Network),
	}
}

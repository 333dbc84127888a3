package archive

import (
	"path"
	"slices"
	"strings"

	"waybill/internal/job"
)

const compiledSuffix = ".rtc"

// Entry is where a package starts.
type Entry struct {
	Member string // path of the file inside the package
	Root   string // folder the given name is relative to: the project folder that was left out, or "" for the package
	// Point is what waybill.yaml says of it; nil: nothing.
	Point *job.EntryPoint
}

// Match finds the member that an entry point names. members are those to search: the files of an unpacked package, or
// the EntryPoints of a. A given name is that of an entry point of waybill.yaml, or else matches with either slash, with or
// without ".rtc" and with or without the project folder (the first part of a member's path); the closest match wins, in that
// order. With no name given it is the Main-Process, the first entry point of waybill.yaml, or else the only entry point.
// Errors are *job.Error, Invalid, WordInvalidPackage.
func Match(a job.Archive, members []string, entryPoint string) (Entry, error) {
	given := entryPoint
	if given == "" {
		given = a.Default()
	}
	if given == "" {
		if len(a.EntryPoints) == 0 {
			return Entry{}, invalid("The package has no entry point")
		}
		return Entry{}, invalid("The package has no Main-Process and %d entry points; name one: %s", len(a.EntryPoints), sample(a.EntryPoints))
	}
	if p := declared(a, func(p job.EntryPoint) bool { return p.Name == given }); len(p) > 0 {
		return Entry{Member: p[0].Path, Root: rootOf(a, p[0].Path), Point: p[0]}, nil
	}
	want, err := cleanName(given)
	if err != nil || want == "" {
		return Entry{}, invalid("Entry point %s is not a name inside the package", quote(given))
	}
	for _, same := range comparisons(want) {
		switch e, found, err := pick(members, given, same); {
		case err != nil:
			return e, err
		case found:
			return withPoint(a, e, given)
		}
	}
	if len(members) == 0 {
		return Entry{}, invalid("Entry point %s is not in the package, which is empty", quote(given))
	}
	return Entry{}, invalid("Entry point %s is not in the package; it has %s", quote(given), sample(shown(a, members)))
}

// declared lists entry points of waybill.yaml.
func declared(a job.Archive, is func(job.EntryPoint) bool) (out []*job.EntryPoint) {
	if a.Manifest == nil {
		return nil
	}
	for i := range a.Manifest.EntryPoints {
		if is(a.Manifest.EntryPoints[i]) {
			out = append(out, &a.Manifest.EntryPoints[i])
		}
	}
	return out
}

// withPoint adds what waybill.yaml says of a member that was named by its path. Where it says several things, running one
// of them would be a guess.
func withPoint(a job.Archive, e Entry, given string) (Entry, error) {
	points := declared(a, func(p job.EntryPoint) bool { return p.Path == e.Member })
	switch len(points) {
	case 0:
	case 1:
		e.Point = points[0]
	default:
		var names []string
		for _, p := range points {
			names = append(names, p.Name)
		}
		return Entry{}, invalid("Entry point %s is ambiguous; name one of %s", quote(given), sample(names))
	}
	return e, nil
}

// rootOf is the folder of waybill.yaml, to which the author's paths are relative.
func rootOf(a job.Archive, member string) string {
	if a.Manifest.Folder == "" || !strings.HasPrefix(member, a.Manifest.Folder+"/") {
		return ""
	}
	return a.Manifest.Folder
}

// comparison tells whether a member is meant, and which folder was left out.
type comparison func(member string) (root string, same bool)

// comparisons lists the ways a name may be meant, closest first.
func comparisons(want string) []comparison {
	sameFile := func(a, b string) bool { return a == b || a == b+compiledSuffix || a+compiledSuffix == b }
	list := []comparison{
		func(m string) (string, bool) { return "", m == want },
		func(m string) (string, bool) { return "", sameFile(m, want) },
		func(m string) (string, bool) {
			folder, rest, found := strings.Cut(m, "/")
			return folder, found && rest == want
		},
		func(m string) (string, bool) {
			folder, rest, found := strings.Cut(m, "/")
			return folder, found && sameFile(rest, want)
		},
	}
	if _, rest, found := strings.Cut(want, "/"); found {
		list = append(list, func(m string) (string, bool) { return "", sameFile(m, rest) })
	}
	return list
}

// pick finds the one member that compares; several are an error, because running the wrong one would be worse.
func pick(members []string, given string, same comparison) (e Entry, found bool, err error) {
	var names []string
	for _, m := range members {
		if root, ok := same(m); ok {
			e = Entry{Member: m, Root: root}
			names = append(names, m)
		}
	}
	if len(names) > 1 {
		return Entry{}, false, invalid("Entry point %s is ambiguous: %s", quote(given), sample(names))
	}
	return e, len(names) == 1, nil
}

// shown is what an error lists: entry points when there are any, else files, shallow ones first.
func shown(a job.Archive, members []string) []string {
	if len(a.EntryPoints) > 0 {
		return a.EntryPoints
	}
	files := slices.Clone(members)
	slices.SortStableFunc(files, func(a, b string) int { return strings.Count(a, "/") - strings.Count(b, "/") })
	return files
}

// sample shows the first few of names.
func sample(names []string) string {
	const limit = 5
	var b strings.Builder
	for i, name := range names {
		if i == limit {
			b.WriteString(" and others")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(path.Clean(name)))
	}
	return b.String()
}

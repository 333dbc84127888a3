package settings

import "slices"

// Names are the settings of a process of the role, as what deploys it may write them in the clear: a secret is the name of its file, as
// in an environment variable that ends in _FILE.
func Names(role Role) (names []string) {
	for _, s := range settings {
		switch {
		case s.only != nil && !slices.Contains(s.only, role):
		case s.secret:
			names = append(names, s.name+"-file")
		default:
			names = append(names, s.name)
		}
	}
	return names
}

package storagetest

import "testing"

var installationCases = map[string]func(*testing.T, *tenant){
	"the first mark of a name stays": func(t *testing.T, n *tenant) {
		for _, one := range []struct{ name, mark, want string }{
			{"key", "one", "one"}, {"key", "two", "one"}, {"other", "two", "two"}, {"key", "one", "one"},
		} {
			if stored, err := n.KeepMark(t.Context(), one.name, one.mark); err != nil || stored != one.want {
				t.Errorf("KeepMark(%s, %s) gives %q, %v; want %q", one.name, one.mark, stored, err, one.want)
			}
		}
	},
}

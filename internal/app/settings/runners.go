package settings

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/knadh/koanf/v2"
	yamlv3 "go.yaml.in/yaml/v3"

	"waybill/internal/runtimes"
)

// runnersKey is the key of the settings file that holds the command runner table. It has neither flag nor environment
// variable: a table does not fit into one.
const runnersKey = "runners"

// loadRunners takes the command runner table out of the file's settings and checks it. Members that are not known are
// faults: a misspelt one would change how programs run without a word.
func loadRunners(own *koanf.Koanf, path string) ([]runtimes.Runner, error) {
	given := own.Get(runnersKey)
	own.Delete(runnersKey)
	if given == nil {
		return nil, nil
	}
	text, err := yamlv3.Marshal(given)
	if err != nil {
		return nil, fmt.Errorf("settings file %s: runners: %w", path, err)
	}
	var list []runtimes.Runner
	d := yamlv3.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("settings file %s: runners is a list of entries with name, match, command, environment and read: %s", path, oneLine(err))
	}
	if err := runtimes.CheckRunners(list); err != nil {
		return nil, fmt.Errorf("settings file %s: %w", path, err)
	}
	return list, nil
}

// oneLine tells a decoder's faults in one line, without the line numbers, which are those of another text.
func oneLine(err error) string {
	var faults *yamlv3.TypeError
	if !errors.As(err, &faults) {
		return strings.ReplaceAll(err.Error(), "\n", " ")
	}
	var words []string
	for _, f := range faults.Errors {
		if _, rest, ok := strings.Cut(f, ": "); ok {
			f = rest
		}
		words = append(words, f)
	}
	return strings.Join(words, "; ")
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// variables reads a list of names of environment variables. Waybill's own are refused: among them are its keys.
func (p *parser) variables(name string) (list []string) {
	for one := range strings.SplitSeq(p.k.String(name), ",") {
		switch one = strings.TrimSpace(one); {
		case one == "":
		case !variableName.MatchString(one):
			p.fault(name, "is a list of names of environment variables, not %q", one)
		case strings.HasPrefix(one, envPrefix):
			p.fault(name, "must not name %q, which is Waybill's own", one)
		default:
			list = append(list, one)
		}
	}
	return list
}

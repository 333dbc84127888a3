package job

import "strings"

// TaskTypes are the words for kinds of tasks that Informatica clients know (informatica.md, 4). None of them means anything here but what
// a client wants to see again.
var TaskTypes = []string{"DMASK", "DRS", "DSS", "MAPPING", "MTT", "PCS", "WORKFLOW"}

// TaskType finds the word that s is in another letter case.
func TaskType(s string) (word string, known bool) {
	for _, word := range TaskTypes {
		if strings.ToUpper(s) == word {
			return word, true
		}
	}
	return "", false
}

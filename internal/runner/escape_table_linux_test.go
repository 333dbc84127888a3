package runner

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const tableFile = "../../SECURITY.md"

// TestSecurityTellsWhatIsHeldBack keeps the table in SECURITY.md as the attacks are. WAYBILL_UPDATE=1 writes it.
func TestSecurityTellsWhatIsHeldBack(t *testing.T) {
	text, err := os.ReadFile(tableFile)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- attacks: written by internal/runner -->\n", "<!-- end of attacks -->"
	before, rest, found1 := strings.Cut(string(text), begin)
	_, after, found2 := strings.Cut(rest, end)
	if !found1 || !found2 {
		t.Fatalf("%s has no place for the table", tableFile)
	}
	want := before + begin + escapeTable() + end + after
	if want == string(text) {
		return
	}
	if os.Getenv("WAYBILL_UPDATE") == "" {
		t.Fatalf("the table in %s is not that of the attacks; WAYBILL_UPDATE=1 go test -run %s writes it", tableFile, t.Name())
	}
	if err := os.WriteFile(tableFile, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func escapeTable() string {
	var b strings.Builder
	b.WriteString("| attack | namespaces and Landlock | namespaces alone | Landlock alone |\n|---|---|---|---|\n")
	for _, group := range attacks {
		for _, k := range group.list {
			since := ""
			if k.landlock > 0 {
				since = fmt.Sprintf(", from Landlock %d on", k.landlock)
			}
			both, rooms, landlock := word(k.fails&inBoth), word(k.fails&inRooms), word(k.fails&inLandlock)
			if k.fails&inRooms == 0 && k.fails&inLandlock != 0 {
				both += since
			}
			if k.fails&inLandlock != 0 {
				landlock += since
			}
			fmt.Fprintf(&b, "| %s: %s | %s | %s | %s |\n", strings.ToLower(group.group), k.name, both, rooms, landlock)
		}
	}
	return b.String()
}

func word(held int) string {
	if held == 0 {
		return "**open**"
	}
	return "held back"
}

package deployments

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
)

// How many pools the Temporal server may open, each of maxConns: one for each of its services and one more for the store
// (docs/adr/0012-single-node.md).
const (
	storePools      = 5
	visibilityPools = 4
)

const (
	migrating = 2  // connections besides those of its pools that a process has while it migrates
	superuser = 3  // that PostgreSQL keeps (superuser_reserved_connections)
	people    = 10 // who look, and a backup
)

// TestPostgreSQLHasAConnectionForEverybody: at their busiest, all that the compose file runs together have no more of them than
// PostgreSQL gives.
func TestPostgreSQLHasAConnectionForEverybody(t *testing.T) {
	most := superuser + people
	for name, c := range composeCommands(t) {
		s := c.check(t)
		most += s.Database.MaxConns + s.Database.BackgroundConns
		if name == "setup" { // after an upgrade it runs beside the others
			most += migrating
		}
	}
	pools := regexp.MustCompile(`maxConns: ([0-9]+)`).FindAllStringSubmatch(string(read(t, at("compose", "temporal.yaml"))), -1)
	if len(pools) != 2 {
		t.Fatalf("%d kinds of pools of Temporal", len(pools))
	}
	most += storePools*number(t, pools[0][1]) + visibilityPools*number(t, pools[1][1])
	given := regexp.MustCompile(`max_connections=([0-9]+)`).FindStringSubmatch(fmt.Sprint(dig(composeServices(t)["postgres"], "command")))
	if given == nil {
		t.Fatal("PostgreSQL is not told how many connections it has")
	}
	if has := number(t, given[1]); most > has || most < 100 {
		t.Errorf("PostgreSQL has %d connections, and up to %d are asked for", has, most)
	}
}

func number(t *testing.T, digits string) int {
	t.Helper()
	n, err := strconv.Atoi(digits)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

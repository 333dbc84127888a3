package app

import (
	"fmt"
	"strings"

	"github.com/blang/semver/v4"
)

// The oldest servers that do. Migration 15 needs CREATE OR REPLACE TRIGGER, which PostgreSQL has since 14. Of Temporal the tests run on
// two versions: that of test/bin/with-temporal, the oldest, and that of go.mod.
const oldestPostgres = "14.0.0"

const oldestTemporal = "1.29.0"

func postgresVersion(version string) Finding {
	return versionFinding("database.version", "PostgreSQL", version, oldestPostgres, "Upgrade PostgreSQL: the tables can not be made on this one.")
}

func temporalVersion(version string) Finding {
	return versionFinding("temporal.version", "server", version, oldestTemporal, "Upgrade the Temporal server: Waybill is tested with none that is so old.")
}

// versionFinding compares a version with the oldest that does. What is before a release, such as 17beta1 or 1.30.0-148.0, counts as the release.
func versionFinding(id, what, version, oldest, advice string) Finding {
	number := strings.TrimPrefix(strings.TrimSpace(version), "v")
	if end := strings.IndexFunc(number, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }); end >= 0 {
		number = number[:end]
	}
	has, err := semver.ParseTolerant(number)
	switch {
	case err != nil:
		return odd(id, fmt.Sprintf("%s has a version that can not be compared: %q", what, version), "See that it is "+oldest+" or newer.")
	case has.LT(semver.MustParse(oldest)):
		return bad(id, fmt.Sprintf("%s %s is older than %s", what, version, oldest), advice)
	}
	return fine(id, what+" "+version)
}

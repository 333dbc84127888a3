package standalone

import (
	"os"
	"testing"

	"go.temporal.io/server/common/dynamicconfig"
)

// TestTheDeployedSettingsAreKnownToTheServer reads what deployments/ gives a Temporal server as that server does, which only warns of
// names that it does not know.
func TestTheDeployedSettingsAreKnownToTheServer(t *testing.T) {
	text, err := os.ReadFile("../../deployments/compose/temporal-dynamic.yaml")
	if err != nil {
		t.Fatal(err)
	}
	read := dynamicconfig.LoadYamlFile(text)
	for _, fault := range append(read.Errors, read.Warnings...) {
		t.Error(fault)
	}
	if read := dynamicconfig.LoadYamlFile([]byte("history.noSuchSetting: [{value: 1}]")); len(read.Warnings) == 0 {
		t.Error("a setting that the server does not have raises no warning, so this test tells nothing")
	}
}

package contract

import "testing"

func TestSchedulesAreKnownByTheirIDs(t *testing.T) {
	t.Parallel()
	if ScheduleID(44) != "schedule-44" || FireWorkflowID(44) != "fire-44" {
		t.Error(ScheduleID(44), FireWorkflowID(44))
	}
	if config, ours := ScheduleConfig("schedule-44"); config != 44 || !ours {
		t.Error(config, ours)
	}
	for _, id := range []string{"", "schedule-", "schedule-x", "schedule-044", "schedule--4", "schedule-0", "retention", "44", "schedule-99999999999999999999"} {
		if config, ours := ScheduleConfig(id); ours {
			t.Errorf("%q is taken for the schedule of %d", id, config)
		}
	}
}

package sandbox

import "testing"

func TestLimitsInWords(t *testing.T) {
	t.Parallel()
	cases := []struct {
		limits Limits
		want   string
	}{
		{Limits{}, ""},
		{Limits{Memory: 512 << 20}, "memory 512 MiB"},
		{Limits{Memory: 2 << 30, CPUs: 1.5, Processes: 64, OpenFiles: 1024, FileSize: 1 << 30, Disk: 1 << 30},
			"memory 2 GiB, cpus 1.5, processes 64, open files 1024, disk 1 GiB"},
		{Limits{Memory: 6241234944, FileSize: 1 << 20, Disk: 1 << 30}, "memory 5952.1 MiB, file size 1 MiB, disk 1 GiB"},
		{Limits{Disk: 100}, "disk 100 bytes"},
	}
	for _, c := range cases {
		if got := c.limits.String(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.limits, got, c.want)
		}
	}
}

func TestTheTighterLimitHolds(t *testing.T) {
	t.Parallel()
	worker := Limits{Memory: 100, CPUs: 2, Processes: 10, Disk: 50}
	asked := Limits{Memory: 200, CPUs: 0.5, OpenFiles: 7, FileSize: 3}
	want := Limits{Memory: 100, CPUs: 0.5, Processes: 10, OpenFiles: 7, FileSize: 3, Disk: 50}
	if got := asked.Within(worker); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

package sqlstore

import (
	"reflect"
	"testing"
	"time"

	"waybill/internal/job"
)

// fill sets every field of v, and of what is in it, to something that is not its zero value.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Uint8:
		v.SetUint(7)
	case reflect.String:
		v.SetString("Value " + time.Duration(*n).String())
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), n)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n)
		fill(value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.UnixMicro(1_773_740_460_000_000 + int64(*n)).UTC()))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") != "-" { // those are never stored
				fill(v.Field(i), n)
			}
		}
	default:
		panic("no filling for " + v.Kind().String())
	}
}

func filled[T any]() T {
	var (
		v T
		n int
	)
	fill(reflect.ValueOf(&v).Elem(), &n)
	return v
}

// A field that is added to the domain and forgotten here comes back empty, and the test fails.
func TestRowsGiveBackEveryFieldOfTheDomain(t *testing.T) {
	t.Parallel()
	check := func(name string, got, want any, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %+v\nwant %+v", name, got, want)
		}
	}
	config := filled[job.Config]()
	gotConfig, err := toConfigRow(config).config()
	check("config", gotConfig, config, err)

	file := filled[job.File]()
	file.LinkID = 0 // how it was found
	gotFile, err := toFileRow(file).file()
	check("file", gotFile, file, err)

	j := filled[job.Job]()
	j.Position, j.CurrentStep, j.OutMessages, j.OutValues = 0, "", nil, nil // found out when it is asked for, not in the row
	j.Spec.Inputs = nil                                                     // rows of their own
	gotJob, err := toJobRow(j).job()
	if err == nil {
		err = toInputsRow(j).into(&gotJob.Spec)
	}
	check("job", gotJob, j, err)

	input := filled[job.InputFile]()
	check("input", toJobFileRow(j, input).input(), input, nil)

	output := filled[job.Output]()
	check("output", toOutputRow("id", output).output(), output, nil)

	user := filled[job.User]()
	check("user", toUserRow(user).user(), user, nil)

	destination := filled[job.Destination]()
	check("destination", toDestinationRow(destination).destination(), destination, nil)

	schedule := filled[job.Schedule]()
	gotSchedule, err := toScheduleRow(schedule).schedule()
	check("schedule", gotSchedule, schedule, err)

	fire := filled[job.Fire]()
	check("fire", toFireRow(fire).fire(), fire, nil)

	worker := filled[job.Worker]()
	worker.Destination = 0 // of whoever looks, not stored
	gotWorker, err := toWorkerRow(worker).worker()
	check("worker", gotWorker, worker, err)
}

func TestRowsGiveBackTheEmptyDomain(t *testing.T) {
	t.Parallel()
	c, err := toConfigRow(job.Config{}).config()
	if err != nil || !reflect.DeepEqual(c, job.Config{}) {
		t.Errorf("config = %+v, %v", c, err)
	}
	j, err := toJobRow(job.Job{}).job()
	if err != nil || !reflect.DeepEqual(j, job.Job{}) {
		t.Errorf("job = %+v, %v", j, err)
	}
	f, err := toFileRow(job.File{}).file()
	if err != nil || !reflect.DeepEqual(f, job.File{}) {
		t.Errorf("file = %+v, %v", f, err)
	}
}

func TestABrokenColumnIsAnErrorNotAnEmptyValue(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"config runtime": second(configRow{Runtime: "{", Tags: "[]"}.config()),
		"config tags":    second(configRow{Tags: "["}.config()),
		"job spec":       second(jobRow{Spec: "{", Tags: "[]"}.job()),
		"file archive":   second(fileRow{Archive: "{"}.file()),
		"job macros":     inputsRow{Macros: "{"}.into(&job.Spec{}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestTextIsFoldedAlikeForBothEngines(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"ÄÖ Ж ΣΑΣ": "äö ж σασ", "GRÖßE": "größe", "plain": "plain"} {
		if got := fold(in); got != want {
			t.Errorf("fold(%q) = %q, want %q", in, got, want)
		}
		if kept := foldOrNull(in); (kept == nil) != (in == want) {
			t.Errorf("foldOrNull(%q) = %v, want it kept only where it differs", in, kept)
		}
	}
}

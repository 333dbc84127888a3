package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"waybill/internal/job"
)

// mainStep is where belongs what is told outside of any step (native.md, 7).
const mainStep = "main"

// Collector makes reports of lines. It keeps every step as it stands, so that reports can be stored twice; errors only
// until they are taken. It is not safe for concurrent use.
type Collector struct {
	cfg    Config
	lines  int
	steps  []job.Step
	place  map[string]int
	open   []int // steps that were started and have not ended, oldest first
	dirty  map[int]bool
	errors []job.RecordError
	raised int

	progress *job.Progress
	warnings []*warning
	warned   bool // there is a warning that was not taken

	messages []job.Message
	sizes    map[string]int // bytes of the last message of each name
	told     int            // sum of sizes
	values   []job.OutValue
	valued   map[string]bool
	files    []job.Output
	filesNew bool
	last     time.Time
	seen     time.Time // of what is told, for steps; zero: now
}

// Config is what a Collector works with.
type Config struct {
	Job job.ID
	// Mask hides secrets in a text that will be shown. Data is kept as it is: masked, it could not be sent again.
	Mask func(string) string
	Now  func() time.Time
	// MaxErrors bounds the errors of the job; 0: job.MaxErrors.
	MaxErrors int
	// ReadFile reads at most limit bytes of a file of the program's (bodyFile); nil: there are none.
	ReadFile func(name string, limit int64) ([]byte, error)
}

// warning is one kind of thing that went wrong.
type warning struct {
	word, about string
	count       int
	first       int // line
}

func (w *warning) String() string {
	if w.count == 0 { // not about lines
		return w.word + ": " + w.about
	}
	return fmt.Sprintf("%s: %s (%s, first line %d)", w.word, w.about, plural(w.count, "line"), w.first)
}

// The words of warnings.
const (
	wordNotUnderstood = "event_not_understood"
	wordLimit         = "event_limit"
	wordMissing       = "out_message_missing"
)

// NewCollector makes a Collector for one attempt.
func NewCollector(cfg Config) *Collector {
	if cfg.Mask == nil {
		cfg.Mask = func(s string) string { return s }
	}
	if cfg.MaxErrors <= 0 {
		cfg.MaxErrors = job.MaxErrors
	}
	return &Collector{cfg: cfg, place: map[string]int{}, dirty: map[int]bool{}, sizes: map[string]int{}, valued: map[string]bool{}}
}

// Line takes a line in.
func (c *Collector) Line(text []byte) {
	c.lines++
	if len(bytes.TrimSpace(text)) == 0 {
		return
	}
	e, err := parse(text)
	if err != nil {
		c.warn(wordNotUnderstood, err.Error())
		return
	}
	switch e.Type {
	case "step":
		c.step(e)
	case "counters":
		c.counters(e)
	case "progress":
		p := &job.Progress{Step: c.stepName(e.Step), Done: *e.Done}
		if e.Total != nil {
			p.Total = *e.Total
		}
		c.progress = p
	case "error":
		c.raise(e)
	case "message":
		c.message(e)
	case "output":
		c.output(e)
	}
}

// TooLong takes notice of a line that was passed over.
func (c *Collector) TooLong() {
	c.lines++
	c.warn(wordNotUnderstood, lineTooLong.Error())
}

// Limit tells of a bound that was reached outside of the Collector.
func (c *Collector) Limit(about string) { c.warn(wordLimit, about) }

// Errors is the number of errors that wait to be taken.
func (c *Collector) Errors() int { return len(c.errors) }

// Pending tells whether there is anything to take.
func (c *Collector) Pending() bool {
	return len(c.dirty) > 0 || len(c.errors) > 0 || c.progress != nil || c.warned ||
		len(c.messages) > 0 || len(c.values) > 0 || c.filesNew
}

// Take gives what is new since the last call.
func (c *Collector) Take() job.Report {
	r := job.Report{Errors: c.errors, Progress: c.progress, Messages: c.messages, Values: c.values, FilesSeen: c.filesNew, At: c.now()}
	if c.filesNew {
		r.Files = c.files
	}
	for i := range c.steps {
		if c.dirty[i] {
			r.Steps = append(r.Steps, c.steps[i])
		}
	}
	if c.warned {
		for _, w := range c.warnings {
			r.Warnings = append(r.Warnings, w.String())
		}
	}
	c.errors, c.progress, c.warned = nil, nil, false
	c.messages, c.values, c.filesNew = nil, nil, false
	clear(c.dirty)
	return r
}

// now never goes back and never stands, so that errors keep their order.
func (c *Collector) now() time.Time {
	now := c.cfg.Now().UTC().Truncate(time.Microsecond)
	if !now.After(c.last) {
		now = c.last.Add(time.Microsecond)
	}
	c.last = now
	return now
}

// dated sets when what is told next was there. It never goes back.
func (c *Collector) dated(at time.Time) {
	if at.After(c.seen) {
		c.seen = at
	}
}

// moment is the time of what is told of a step. Other than now it may stand: the lines that a program logs in a step have stamps, and a start
// that is put off to keep apart from other events would be behind the first of them.
func (c *Collector) moment() time.Time {
	at := c.seen
	if at.IsZero() {
		at = c.cfg.Now()
	}
	return at.UTC().Truncate(time.Microsecond)
}

func (c *Collector) warn(word, about string) {
	c.warned = true
	for _, w := range c.warnings {
		if w.word == word && w.about == about {
			w.count++
			return
		}
	}
	c.warnings = append(c.warnings, &warning{word: word, about: about, count: 1, first: c.lines})
}

// stepName is what a line's step is called: the one that was started last and goes on, if the line names none.
func (c *Collector) stepName(named string) string {
	switch {
	case named != "":
		return cut(c.cfg.Mask(named), job.MaxStepName)
	case len(c.open) > 0:
		return c.steps[c.open[len(c.open)-1]].Name
	}
	return mainStep
}

// at finds the step of a name, or opens it. ok is false when there are too many.
func (c *Collector) at(name string) (i int, ok bool) {
	if i, ok = c.place[name]; ok {
		return i, true
	}
	if len(c.steps) == job.MaxSteps {
		c.warn(wordLimit, "more than "+strconv.Itoa(job.MaxSteps)+" steps")
		return 0, false
	}
	i = len(c.steps)
	c.place[name] = i
	c.steps = append(c.steps, job.Step{Index: i, Name: name, Status: job.Running, StartedAt: c.moment()})
	c.dirty[i] = true
	return i, true
}

func (c *Collector) step(e event) {
	i, ok := c.at(c.stepName(e.Name))
	if !ok {
		return
	}
	s := &c.steps[i]
	c.dirty[i] = true
	c.end(i)
	s.Message = cut(c.cfg.Mask(e.Message), job.MaxErrorText)
	s.ReturnCode = nil
	if e.ReturnCode != nil {
		code := int(*e.ReturnCode)
		s.ReturnCode = &code
	}
	switch e.Status {
	case "started":
		c.open = append(c.open, i)
		s.Status, s.FinishedAt = job.Running, time.Time{}
	case "finished":
		s.Status, s.FinishedAt = job.Completed, c.moment()
	case "failed":
		s.Status, s.FinishedAt = job.Failed, c.moment()
	}
}

// end takes a step out of those that go on.
func (c *Collector) end(i int) {
	for k, open := range c.open {
		if open == i {
			c.open = append(c.open[:k], c.open[k+1:]...)
			return
		}
	}
}

// counters takes totals over; members that were left out stay.
func (c *Collector) counters(e event) {
	i, ok := c.at(c.stepName(e.Step))
	if !ok {
		return
	}
	s := &c.steps[i]
	c.dirty[i] = true
	for to, n := range map[*int64]*int64{
		&s.RecordsRead: e.Read, &s.RecordsWritten: e.Written, &s.RecordsFailed: e.Failed, &s.RecordsIgnored: e.Ignored,
	} {
		if n != nil {
			*to = min(*n, maxCount)
		}
	}
}

// maxCount keeps the sum over all steps within 64 bits.
const maxCount = 1 << 52

func (c *Collector) raise(e event) {
	if c.raised == c.cfg.MaxErrors {
		c.warn(wordLimit, "more than "+strconv.Itoa(c.cfg.MaxErrors)+" errors")
		return
	}
	i, ok := c.at(c.stepName(e.Step))
	if !ok {
		return
	}
	c.raised++
	id := string(e.RecordID)
	if id == "" { // the job's id keeps it apart from records of other jobs
		id = string(c.cfg.Job) + ":" + strconv.Itoa(c.lines)
	}
	c.errors = append(c.errors, job.RecordError{
		RecordID: id, Step: c.steps[i].Name, Code: cut(c.cfg.Mask(string(e.Code)), job.MaxErrorCode),
		Message:  cut(c.cfg.Mask(e.Message), job.MaxErrorText),
		TraceKey: cut(c.cfg.Mask(string(e.TraceKey)), job.MaxTraceKey), OccurredAt: c.now(), Data: c.data(e.Data),
	})
}

// data is a record as it is kept; one that is too large is not.
func (c *Collector) data(raw json.RawMessage) []byte {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	var compact bytes.Buffer
	if json.Compact(&compact, raw) != nil { // it was read as JSON a moment ago
		return nil
	}
	if compact.Len() > job.MaxRecordData {
		c.warn(wordLimit, "data of more than "+strconv.Itoa(job.MaxRecordData)+" bytes is not kept")
		return nil
	}
	return compact.Bytes()
}

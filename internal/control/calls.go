package control

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"waybill/internal/job"
)

// Calls runs programs whose caller waits for the answer.
type Calls struct {
	Jobs   *Jobs
	Places *Places
	Limit  time.Duration // of one call; 0: DefaultCallLimit
}

// Limits of calls.
const (
	DefaultCallLimit = 10 * time.Second
	MaxCallLimit     = 60 * time.Second
	maxParams        = 100 << 10 // bytes: an argument of a program has no more than 128 KiB
	callLog          = 10_000    // characters of the log of a call that failed
)

// CallRequest asks for an answer.
type CallRequest struct {
	Config string
	Params json.RawMessage // an object, or empty
	Caller job.Caller
	Door   job.Trigger
}

// Called is what came of a call.
type Called struct {
	Job     job.Job // final, or over its time
	Config  job.Config
	Late    bool   // it ran out of time, and is ended
	Answer  string // what the program gave
	Told    bool   // it gave something
	LogTail string // where it failed
}

// WordNoWorker is why a program can not be called: nobody is there to run it now.
const WordNoWorker job.Word = "no_worker"

// Call runs a config once and waits for its answer, at most as long as the limit. The config's retry policy does not count. If no worker
// of its destination is there, nothing is started: Unavailable, WordNoWorker. Where the config's concurrency keeps it from being started
// now, onLimit skip is as good as fail: Conflict, WordConcurrencyLimit. Where the engine is away the job is cancelled: Unavailable.
func (s *Calls) Call(ctx context.Context, a job.Actor, r CallRequest) (called Called, err error) {
	called.Config, err = s.Jobs.Configs.For(ctx, a, r.Config, job.Execute)
	if err != nil {
		return called, err
	}
	request, err := s.request(called.Config, r)
	if err != nil {
		return called, err
	}
	if err := s.attended(ctx, called.Config); err != nil {
		return called, err
	}
	made, err := s.Jobs.Submit(ctx, a, request)
	if err != nil {
		return called, err
	}
	if made.Skipped { // its answer would be another run's
		return called, limitReached()
	}
	called.Job = made.Job
	if made.Job.Unreachable {
		if err := s.withdraw(ctx, a, made.Job); err != nil {
			return called, err
		}
	}
	// The caller's going away does not end the wait for nothing: it ends the wait, and the job goes on within its time.
	if called.Job, err = s.Jobs.Wait(ctx, a, string(made.Job.ID), s.limit()); err != nil {
		return called, err
	}
	if !called.Job.Status.Final() || called.Job.Reason == job.ReasonTimeout {
		called.Late = true
		return called, nil
	}
	if called.Job.Status != job.Completed {
		called.LogTail, err = s.tail(ctx, called.Job)
		return called, err
	}
	m, err := s.Jobs.Talk.OutMessage(ctx, a.AccountID, called.Job.ID, job.AnswerMessage)
	if job.CodeOf(err) == job.NotFound {
		return called, nil
	}
	called.Answer, called.Told = m.Body, err == nil
	return called, err
}

func limitReached() error {
	return job.Errorf(job.Conflict, job.WordConcurrencyLimit, "As many jobs of this key are there as may be at once")
}

// withdraw takes back a job that the engine was not told of: somebody who waits for its answer does not wait until the engine is back. nil: it
// has ended all the same, because the engine was there after all.
func (s *Calls) withdraw(ctx context.Context, a job.Actor, j job.Job) error {
	_, err := s.Jobs.recordStop(context.WithoutCancel(ctx), a, j, 0)
	if job.CodeOf(err) == job.Conflict {
		return nil
	}
	if err != nil {
		return err
	}
	return job.Errorf(job.Unavailable, job.WordDependencyDown, "The engine can not be reached; job %s is cancelled", j.ID)
}

func (s *Calls) limit() time.Duration {
	if s.Limit <= 0 {
		return DefaultCallLimit
	}
	return s.Limit
}

// attended tells whether somebody is there to run jobs of the config.
func (s *Calls) attended(ctx context.Context, c job.Config) error {
	d, err := s.Jobs.Users.Destination(ctx, c.AccountID, c.Destination)
	if err != nil {
		return err
	}
	view, err := s.Places.View(ctx, c.AccountID)
	if err != nil {
		return err
	}
	if view.Online(d.ID) == 0 {
		return job.Errorf(job.Unavailable, WordNoWorker, "No worker of the destination '%s' is there", d.Name)
	}
	return nil
}

// macroName is what a parameter must be called to be a macro, too.
var macroName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)

// request makes the start of a call: its parameters are the program's first argument, the macro PARAMS, and, where they can be, macros of
// their own names (paramMacros). They are data: nothing in them refers to macros.
func (s *Calls) request(c job.Config, r CallRequest) (SubmitRequest, error) {
	limit := s.limit()
	request := SubmitRequest{Config: r.Config, Caller: r.Caller, Door: r.Door}
	text := "{}"
	if len(bytes.TrimSpace(r.Params)) > 0 {
		var compact bytes.Buffer
		var members map[string]json.RawMessage
		if json.Unmarshal(r.Params, &members) != nil || members == nil || json.Compact(&compact, r.Params) != nil {
			return request, invalidField("params must be an object")
		}
		if text = compact.String(); len(text) > maxParams {
			return request, job.Errorf(job.TooLarge, job.WordTooLarge, "params has more than %d bytes", maxParams)
		}
		request.Overrides.Macros = paramMacros(members, c.Runtime.Macros)
	}
	request.Overrides.Macros = append(request.Overrides.Macros, job.Macro{Key: ParamsMacro, Value: text, Literal: true})
	request.shape = func(spec *job.Spec) {
		spec.Arguments, spec.Answer = []string{text}, true
		spec.Retry, spec.OnLoss = job.RetryPolicy{}, job.Fail
		spec.TotalTimeout = limit
	}
	return request, nil
}

// ParamsMacro is the macro that holds the parameters of a call as JSON.
const ParamsMacro = "PARAMS"

// What changes how programs are found, loaded or read. Whoever may call a config brings values for its program, and must not bring one of
// their own in its place. Names are case-sensitive, as the environment is.
var (
	steering = map[string]bool{
		"BASHOPTS": true, "BASH_ENV": true, "CDPATH": true, "CLASSPATH": true, "ENV": true, "GCONV_PATH": true, "HOME": true, "IFS": true,
		"JAVA_TOOL_OPTIONS": true, "JDK_JAVA_OPTIONS": true, "NODE_OPTIONS": true, "NODE_PATH": true, "PATH": true, "PERLLIB": true,
		"PROMPT_COMMAND": true, "PS4": true, "RUBYLIB": true, "RUBYOPT": true, "SHELLOPTS": true, "TMPDIR": true, "_JAVA_OPTIONS": true,
	}
	steeringPrefixes = []string{"DYLD_", "GIT_", "LD_", "PERL5", "PYTHON", "WAYBILL_"}
)

// steers tells whether a macro of that name would do more than tell the program a value.
func steers(name string) bool {
	return steering[name] || slices.ContainsFunc(steeringPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// paramMacros are the parameters that are macros, too: texts and numbers whose names programs can read and do not steer them, that are no
// secure macro of the config, and whose values a variable can hold. Where there are more than a job may have, none is one. The program
// reads all of them in PARAMS.
func paramMacros(members map[string]json.RawMessage, own []job.Macro) (macros []job.Macro) {
	taken := map[string]bool{ParamsMacro: true}
	for _, m := range own {
		taken[m.Key] = taken[m.Key] || m.Secure
	}
	for name, raw := range members {
		if taken[name] || steers(name) || !macroName.MatchString(name) {
			continue
		}
		var text string
		var number json.Number
		switch {
		case json.Unmarshal(raw, &text) == nil && raw[0] == '"':
			if !strings.ContainsRune(text, 0) {
				macros = append(macros, job.Macro{Key: name, Value: text, Literal: true})
			}
		case raw[0] != '"' && json.Unmarshal(raw, &number) == nil && number != "":
			macros = append(macros, job.Macro{Key: name, Value: number.String(), Literal: true})
		}
	}
	if len(macros) >= maxMacros {
		return nil
	}
	return macros
}

// tail is the end of a job's log without time stamps.
func (s *Calls) tail(ctx context.Context, j job.Job) (string, error) {
	text, err := s.Jobs.LogTail(ctx, j, callLog)
	if text == "" && err == nil {
		text = j.Message
	}
	return text, err
}

// stampSize is the length of the time stamp in front of every line of a log, with the blank behind it.
const stampSize = len("2006-01-02T15:04:05.000Z ")

// LogTail is the end of a job's log, without time stamps and of at most so many characters; "" where there is none.
func (s *Jobs) LogTail(ctx context.Context, j job.Job, limit int) (string, error) {
	if !j.Taken {
		return "", nil
	}
	view, err := s.Logs.View(ctx, j.AccountID, j.ID, 0)
	if err != nil || view.Size == 0 {
		return "", err
	}
	from := max(0, view.Size-int64(8*limit))
	r, err := view.Open(ctx, from, -1)
	if err != nil {
		return "", err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, int64(16*limit)))
	if err != nil {
		return "", err
	}
	if from > 0 { // it begins within a line
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			text = text[i+1:]
		}
	}
	var b strings.Builder
	for line := range strings.Lines(strings.ToValidUTF8(string(text), "\uFFFD")) {
		if len(line) >= stampSize && line[4] == '-' && line[10] == 'T' && line[stampSize-2] == 'Z' {
			line = line[stampSize:]
		}
		b.WriteString(line)
	}
	shown := []rune(strings.TrimRight(b.String(), "\n"))
	return string(shown[max(0, len(shown)-limit):]), nil
}

package activities_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"waybill/activities"
	"waybill/internal/job"
	"waybill/internal/mail"
	"waybill/internal/webhook"
	"waybill/workflows/contract"
)

// post is a delivery's row and the world outside.
type post struct {
	row      job.Delivery
	attempts []job.DeliveryAttempt
	next     time.Time
	absent   bool
	down     error
	job      job.Job
	log      string

	calls   []webhook.Call
	answer  webhook.Answer
	fault   error
	mails   []mail.Message
	sent    []string // attachments
	mailing error
	counted []string
	now     time.Time
}

func (p *post) Delivery(context.Context, int64, string) (job.Delivery, error) {
	if p.absent {
		return job.Delivery{}, job.Errorf(job.NotFound, job.WordNotFound, "gone")
	}
	return p.row, nil
}

func (p *post) KeepBody(_ context.Context, _ int64, _, body string) (string, error) {
	if p.row.Body == "" {
		p.row.Body = body
	}
	return p.row.Body, nil
}

func (p *post) RecordAttempt(_ context.Context, _ int64, _ string, a job.DeliveryAttempt, s job.DeliveryStatus, next time.Time) error {
	if p.down != nil {
		return p.down
	}
	if len(p.attempts) == 0 {
		p.row.RoundAt = a.At
	}
	p.attempts, p.next = append(p.attempts, a), next
	p.row.Status, p.row.Attempts, p.row.RoundAttempts = s, a.Number, p.row.RoundAttempts+1
	return nil
}

func (p *post) EndDelivery(_ context.Context, _ string, _ int, why string, _ time.Time) error {
	p.row.Status, p.row.Error = job.DeliveryFailed, why
	return nil
}

func (p *post) Job(context.Context, int64, job.ID) (job.Job, error) { return p.job, p.down }

func (p *post) Size(context.Context, int64, job.ID) (int64, error) { return int64(len(p.log)), nil }

func (p *post) Open(_ context.Context, _ int64, _ job.ID, offset, length int64) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(p.log[offset : offset+length])), nil
}

type caller struct{ *post }

func (c caller) Send(_ context.Context, call webhook.Call) (webhook.Answer, error) {
	c.calls = append(c.calls, call)
	return c.answer, c.fault
}

type mailer struct{ *post }

func (m mailer) Send(_ context.Context, message mail.Message) error {
	m.mails = append(m.mails, message)
	if message.Attach != nil {
		for range 2 { // a library may write it twice
			var b strings.Builder
			if _, err := message.Attach.Write(&b); err != nil {
				return err
			}
			m.sent = append(m.sent, b.String())
		}
	}
	return m.mailing
}

type unsealer struct{}

func (unsealer) Open(sealed string) (string, error) {
	text, ok := strings.CutPrefix(sealed, "sealed:")
	if !ok {
		return "", errors.New("not sealed")
	}
	return text, nil
}

const aJob job.ID = "69b9209b00000000000000c1"

func newPost() *post {
	code := 3
	return &post{
		now: time.Date(2026, 3, 17, 9, 0, 0, 0, time.UTC),
		row: job.Delivery{
			ID: "69b9209b00000000000000d1", AccountID: 7, JobID: aJob, Kind: job.DeliveryWebhook, Event: job.EventJobFailed,
			Target: "https://example.com/hook", Method: "POST", Sealed: "sealed:s3cret", Status: job.DeliveryDelivering, Round: 1,
			CreatedAt: time.Date(2026, 3, 17, 8, 59, 59, 5000, time.UTC),
			Change:    job.StatusChange{Status: job.Failed, Reason: job.ReasonError, Taken: true, Attempt: 1, ReturnCode: &code},
		},
		job:    job.Job{ID: aJob, AccountID: 7, ConfigName: "orders", RunNumber: 4, Status: job.Failed, Message: "exit 3\r\nBcc: x@example.com"},
		answer: webhook.Answer{Code: 200, Reply: "ok"},
	}
}

func (p *post) deliver(t *testing.T, mailing bool) (contract.DeliverResult, error) {
	t.Helper()
	c := activities.DeliverConfig{
		Run: p, Jobs: p, Logs: p, Secrets: unsealer{}, Calls: caller{p},
		Render: func(j job.Job) ([]byte, error) { return json.Marshal(map[string]any{"id": j.ID, "status": j.Status}) },
		Link:   func(id job.ID) string { return "https://waybill.example/jobs/" + string(id) },
		Now:    func() time.Time { return p.now },
		Observe: func(kind job.DeliveryKind, outcome string) {
			p.counted = append(p.counted, string(kind)+" "+outcome)
		},
	}
	if mailing {
		c.Mail = mailer{p}
	}
	return activities.NewDeliveries(c).DeliverOnce(t.Context(), contract.DeliverInput{ID: p.row.ID, AccountID: 7, Round: 1})
}

func TestACallIsSignedAndTheSameEveryTime(t *testing.T) {
	t.Parallel()
	p := newPost()
	p.row.Headers = `sealed:{"Authorization":"Bearer x","X-Waybill-Event":"never"}`
	p.answer = webhook.Answer{Code: 503, Reply: "busy"}
	_, err := p.deliver(t, false)
	var again *temporal.ApplicationError
	if !errors.As(err, &again) || again.Type() != contract.ErrNotDelivered || again.NextRetryDelay() != time.Second || again.NonRetryable() {
		t.Fatalf("after a 503: %v", err)
	}
	if !p.next.Equal(p.now.Add(time.Second)) || p.row.Status != job.DeliveryDelivering {
		t.Errorf("next %v, %s", p.next, p.row.Status)
	}
	p.job.Status, p.answer = job.Completed, webhook.Answer{Code: 204} // the row has moved on since
	p.now = p.now.Add(time.Second)
	got, err := p.deliver(t, false)
	if want := (contract.DeliverResult{Status: job.DeliveryDelivered, Code: 204, Attempts: 2}); err != nil || got != want {
		t.Errorf("result %+v, %v", got, err)
	}
	const body = `{"event":"job.failed","deliveryId":"69b9209b00000000000000d1","timestamp":"2026-03-17T08:59:59.000005Z","job":{"id":"69b9209b00000000000000c1","status":"failed"}}`
	for i, c := range p.calls {
		want := map[string]string{
			"Content-Type": "application/json", "Authorization": "Bearer x", "X-Waybill-Event": "job.failed",
			"X-Waybill-Delivery": p.row.ID, "X-Waybill-Attempt": fmt.Sprint(i + 1), "X-Waybill-Signature": activities.Sign("s3cret", body),
		}
		if c.Body != body || c.URL != p.row.Target || c.Method != "POST" || fmt.Sprint(c.Header) != fmt.Sprint(want) {
			t.Errorf("call %d: %+v", i, c)
		}
	}
	if a := p.attempts[0]; a.Code != 503 || a.Error != "HTTP 503" || a.Reply != "busy" || a.Number != 1 {
		t.Errorf("first attempt %+v", a)
	}
	if fmt.Sprint(p.counted) != "[webhook retried webhook delivered]" {
		t.Errorf("counted %v", p.counted)
	}
}

func TestTheTypeOfABodyIsTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, body, headers string
		want                  any
	}{
		"JSON":         {"POST", `{"a":1}`, "", "application/json"},
		"text":         {"PUT", "a=1", "", "text/plain; charset=utf-8"},
		"the user's":   {"PUT", "a=1", `sealed:{"content-type":"application/x-www-form-urlencoded"}`, "application/x-www-form-urlencoded"},
		"none":         {"GET", "", "", nil},
		"our envelope": {"POST", "", "", "application/json"},
	} {
		p := newPost()
		p.row.Method, p.row.Body, p.row.Headers, p.row.JobID = c.method, c.body, c.headers, ""
		if _, err := p.deliver(t, false); err != nil || len(p.calls) != 1 {
			t.Fatal(name, err, p.calls)
		}
		got, there := p.calls[0].Header["Content-Type"]
		if there != (c.want != nil) || there && got != c.want || c.body != "" && p.calls[0].Body != c.body || p.calls[0].Header["content-type"] != "" {
			t.Errorf("%s: %+v", name, p.calls[0])
		}
	}
}

func TestWhatComesOfAnAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer webhook.Answer
		fault  error
		round  int           // attempts before
		since  time.Duration // since the first of the round
		status job.DeliveryStatus
		pause  time.Duration
	}{
		"taken":               {answer: webhook.Answer{Code: 299}, status: job.DeliveryDelivered},
		"redirected":          {answer: webhook.Answer{Code: 301}, status: job.DeliveryFailed},
		"refused":             {answer: webhook.Answer{Code: 400}, status: job.DeliveryFailed},
		"gone":                {answer: webhook.Answer{Code: 410}, status: job.DeliveryFailed},
		"timed out there":     {answer: webhook.Answer{Code: 408}, status: job.DeliveryDelivering, pause: time.Second},
		"too early":           {answer: webhook.Answer{Code: 425}, status: job.DeliveryDelivering, pause: time.Second},
		"too many":            {answer: webhook.Answer{Code: 429, RetryAfter: 90 * time.Second}, status: job.DeliveryDelivering, pause: 90 * time.Second},
		"asks for too much":   {answer: webhook.Answer{Code: 503, RetryAfter: 90 * time.Hour}, status: job.DeliveryDelivering, pause: time.Hour},
		"asks for too little": {answer: webhook.Answer{Code: 503, RetryAfter: time.Second}, round: 4, status: job.DeliveryDelivering, pause: 16 * time.Second},
		"broken":              {answer: webhook.Answer{Code: 500}, round: 1, status: job.DeliveryDelivering, pause: 2 * time.Second},
		"broken for long":     {answer: webhook.Answer{Code: 500}, round: 40, since: time.Hour, status: job.DeliveryDelivering, pause: 10 * time.Minute},
		"broken for too long": {answer: webhook.Answer{Code: 500}, round: 150, since: 24*time.Hour - time.Minute, status: job.DeliveryFailed},
		"no answer":           {fault: &webhook.Fault{Text: "No answer"}, status: job.DeliveryDelivering, pause: time.Second},
		"not public":          {fault: &webhook.Fault{Text: "Not public", Final: true}, status: job.DeliveryFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPost()
			p.answer, p.fault, p.row.RoundAttempts, p.row.Attempts = c.answer, c.fault, c.round, c.round
			if c.round > 0 {
				p.row.RoundAt = p.now.Add(-c.since)
				p.attempts = make([]job.DeliveryAttempt, 1)
			}
			result, err := p.deliver(t, false)
			var again *temporal.ApplicationError
			switch {
			case p.row.Status != c.status:
				t.Errorf("%s, %+v, %v", p.row.Status, result, err)
			case c.status == job.DeliveryDelivering:
				if !errors.As(err, &again) || again.NextRetryDelay() != c.pause {
					t.Errorf("asks for %v (%v)", again.NextRetryDelay(), err)
				}
			case err != nil || result.Status != c.status:
				t.Errorf("result %+v, %v", result, err)
			}
		})
	}
}

func TestNothingIsSentWhenThereIsNothingToDo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(p *post)
		want   job.DeliveryStatus
	}{
		"deleted":       {func(p *post) { p.absent = true }, job.DeliveryFailed},
		"delivered":     {func(p *post) { p.row.Status = job.DeliveryDelivered }, job.DeliveryDelivered},
		"another round": {func(p *post) { p.row.Round = 2 }, job.DeliveryFailed},
	} {
		p := newPost()
		c.change(p)
		if got, err := p.deliver(t, false); err != nil || got.Status != c.want || len(p.calls) != 0 {
			t.Errorf("%s: %+v, %v, %d calls", name, got, err, len(p.calls))
		}
	}
	p := newPost()
	p.down = job.Errorf(job.Unavailable, job.WordDependencyDown, "away")
	if _, err := p.deliver(t, false); err == nil || len(p.calls) != 0 {
		t.Errorf("without a database: %v, %d calls", err, len(p.calls))
	}
	p = newPost()
	p.row.Sealed = "of another key"
	if got, err := p.deliver(t, false); err != nil || got.Status != job.DeliveryFailed || len(p.calls) != 0 {
		t.Errorf("a secret of another key: %+v, %v", got, err)
	}
}

func TestMail(t *testing.T) {
	t.Parallel()
	p := newPost()
	p.row.Kind, p.row.Target, p.row.AttachLog = job.DeliveryMail, "a@example.com, b@example.com", true
	p.log = strings.Repeat("x", 5<<20) + "the end"
	got, err := p.deliver(t, true)
	if err != nil || got.Status != job.DeliveryDelivered || len(p.mails) != 1 {
		t.Fatalf("%+v, %v, %d mails", got, err, len(p.mails))
	}
	m := p.mails[0]
	if m.ID != p.row.ID || fmt.Sprint(m.To) != "[a@example.com b@example.com]" || m.Subject != "[Waybill] orders: job failed" {
		t.Errorf("mail %+v", m)
	}
	for _, line := range []string{
		"Job config:  orders\n", "Job:         69b9209b00000000000000c1 (run 4)\n", "Status:      failed\n", "Reason:      error\n",
		"Message:     exit 3 Bcc: x@example.com\n", "Exit code:   3\n", "Link:        https://waybill.example/jobs/69b9209b00000000000000c1\n",
		"The last 5 MiB of the log's 5242887 bytes are attached.\n",
	} {
		if !strings.Contains(m.Text, line) {
			t.Errorf("no %q in %s", line, m.Text)
		}
	}
	if len(p.sent) != 2 || p.sent[0] != p.sent[1] || len(p.sent[0]) != 5<<20 || !strings.HasSuffix(p.sent[0], "the end") {
		t.Errorf("%d attachments", len(p.sent))
	}
	p = newPost()
	p.row.Kind = job.DeliveryMail
	if got, err := p.deliver(t, false); err != nil || got.Status != job.DeliveryFailed || !strings.HasPrefix(got.Error, "mail is not configured") {
		t.Errorf("without a server: %+v, %v", got, err)
	}
	p.row.Status, p.mailing = job.DeliveryPending, &mail.Fault{Text: "busy", Code: 451}
	if _, err := p.deliver(t, true); err == nil || p.row.Status != job.DeliveryDelivering {
		t.Errorf("a busy server: %v, %s", err, p.row.Status)
	}
	p.row.Status, p.mailing = job.DeliveryPending, &mail.Fault{Text: "no such user", Code: 550, Final: true}
	if got, err := p.deliver(t, true); err != nil || got.Code != 550 || got.Status != job.DeliveryFailed {
		t.Errorf("refused: %+v, %v", got, err)
	}
}

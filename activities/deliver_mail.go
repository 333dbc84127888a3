package activities

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"waybill/internal/job"
	"waybill/internal/mail"
)

// maxAttached is how much of a log goes with a mail: its end, where the reason of a failure is.
const maxAttached = 5 << 20 // bytes

// send sends the mail about a job.
func (d *Deliveries) send(ctx context.Context, row job.Delivery, j job.Job) outcome {
	if d.cfg.Mail == nil {
		return outcome{fault: "mail is not configured (setting smtp-host)", final: true}
	}
	message := mail.Message{
		ID: row.ID, To: strings.Split(row.Target, ", "), Subject: fmt.Sprintf("[Waybill] %s: job %s", j.ConfigName, j.Status),
		Header: map[string]string{"X-Waybill-Delivery": row.ID, "X-Waybill-Event": row.Event, "X-Waybill-Job": string(j.ID)},
	}
	note := ""
	if row.AttachLog && j.Taken {
		size, err := d.cfg.Logs.Size(ctx, j.AccountID, j.ID)
		if err != nil {
			return outcome{ours: err}
		}
		note = "The log is attached."
		if size > maxAttached {
			note = fmt.Sprintf("The last %d MiB of the log's %d bytes are attached.", maxAttached>>20, size)
		}
		from := max(0, size-maxAttached)
		message.Attach = &mail.Attachment{Name: string(j.ID) + ".log", Write: func(to io.Writer) (int64, error) {
			text, err := d.cfg.Logs.Open(ctx, j.AccountID, j.ID, from, size-from)
			if err != nil {
				return 0, err
			}
			n, err := io.Copy(to, text)
			return n, errors.Join(err, text.Close())
		}}
	}
	message.Text = d.mailText(j, note)
	err := d.cfg.Mail.Send(ctx, message)
	if err == nil {
		return outcome{code: 250}
	}
	o := outcome{fault: "The mail was not sent"}
	var fault *mail.Fault
	if errors.As(err, &fault) {
		o.fault, o.final, o.code = fault.Text, fault.Final, fault.Code
	}
	d.cfg.Log.WarnContext(ctx, "mail not sent", "delivery", row.ID, "error", errors.Unwrap(err))
	return o
}

// mailText is what the mail says: what happened to which job, when and why, and where to look.
func (d *Deliveries) mailText(j job.Job, note string) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-12s %s\n", name+":", oneLine(value))
		}
	}
	moment := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	fmt.Fprintf(&b, "A job of %s is %s.\n\n", oneLine(j.ConfigName), j.Status)
	line("Job config", j.ConfigName)
	line("Job", fmt.Sprintf("%s (run %d)", j.ID, j.RunNumber))
	line("Status", string(j.Status))
	line("Reason", string(j.Reason))
	line("Message", j.Message)
	if j.ReturnCode != nil {
		line("Exit code", fmt.Sprint(*j.ReturnCode))
	}
	line("Attempts", fmt.Sprint(j.Attempt))
	line("Submitted", moment(j.ScheduledAt))
	line("Started", moment(j.StartedAt))
	line("Finished", moment(j.FinishedAt))
	line("Stopped by", j.StoppedBy.Name)
	line("Retry of", string(j.RetryOf))
	line("Link", d.cfg.Link(j.ID))
	if note != "" {
		b.WriteString("\n" + note + "\n")
	}
	return b.String()
}

// oneLine keeps a text from looking like more lines of the mail than it is.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

package workflows

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// The typed keys of the contract's search attributes.
var (
	attrAccount     = temporal.NewSearchAttributeKeyKeyword(contract.AttrAccount)
	attrJobConfig   = temporal.NewSearchAttributeKeyKeyword(contract.AttrJobConfig)
	attrJob         = temporal.NewSearchAttributeKeyKeyword(contract.AttrJob)
	attrStatus      = temporal.NewSearchAttributeKeyKeyword(contract.AttrStatus)
	attrRootJob     = temporal.NewSearchAttributeKeyKeyword(contract.AttrRootJob)
	attrParentJob   = temporal.NewSearchAttributeKeyKeyword(contract.AttrParentJob)
	attrDestination = temporal.NewSearchAttributeKeyKeyword(contract.AttrDestination)
	attrTrigger     = temporal.NewSearchAttributeKeyKeyword(contract.AttrTrigger)
	attrLane        = temporal.NewSearchAttributeKeyKeyword(contract.AttrLane)
	attrTags        = temporal.NewSearchAttributeKeyKeywordList(contract.AttrTags)
)

// SearchAttributes are what a Job starts with, and a Retry around it: the client sets them, so that they cost the
// workflow no event of its own.
func SearchAttributes(in contract.JobInput) temporal.SearchAttributes {
	root := in.Root
	if root == "" {
		root = in.JobID
	}
	set := []temporal.SearchAttributeUpdate{
		attrAccount.ValueSet(strconv.FormatInt(in.AccountID, 10)),
		attrJobConfig.ValueSet(strconv.FormatInt(in.ConfigID, 10)),
		attrJob.ValueSet(string(in.JobID)),
		attrStatus.ValueSet(string(job.Queued)),
		attrRootJob.ValueSet(string(root)),
	}
	if in.Parent != "" {
		set = append(set, attrParentJob.ValueSet(string(in.Parent)))
	}
	if in.Destination != 0 {
		set = append(set, attrDestination.ValueSet(strconv.FormatInt(in.Destination, 10)))
	}
	if in.Trigger != "" {
		set = append(set, attrTrigger.ValueSet(string(in.Trigger)))
	}
	if in.Lane != "" {
		set = append(set, attrLane.ValueSet(in.Lane))
	}
	if tags := searchableTags(in.Tags); len(tags) > 0 {
		set = append(set, attrTags.ValueSet(tags))
	}
	return temporal.NewSearchAttributes(set...)
}

// searchableTags is as many of the tags as the engine takes in one attribute.
func searchableTags(tags []string) []string {
	size := 0
	for i, t := range tags {
		if size += len(t) + 4; size > contract.MaxTagsBytes { // quotes, a comma, and some room for escapes
			return tags[:i]
		}
	}
	return tags
}

// LaneAttributes are what a Lane starts with.
func LaneAttributes(in contract.LaneInput) temporal.SearchAttributes {
	return temporal.NewSearchAttributes(
		attrAccount.ValueSet(strconv.FormatInt(in.AccountID, 10)),
		attrLane.ValueSet(in.Lane),
	)
}

// LaneSummary is the one line by which people know a Lane.
func LaneSummary(in contract.LaneInput) string { return "lane " + plain(in.Lane, 150) }

// Memo is what is shown of a Job, and of a Retry around it, without being searchable.
func Memo(in contract.JobInput) map[string]any {
	if in.ConfigName == "" {
		return nil
	}
	return map[string]any{contract.MemoJobConfig: in.ConfigName}
}

// Summary is the one line by which people know a Job, or a Retry around it, in the Temporal Web UI: "orders #12".
func Summary(in contract.JobInput) string {
	text := plain(in.ConfigName, 120)
	if in.RunNumber > 0 {
		text = strings.TrimSpace(fmt.Sprintf("%s #%d", text, in.RunNumber))
	}
	if in.Parent != "" {
		text += ", retry of " + string(in.Parent)
	}
	return text
}

// Details are the lines below the summary.
func Details(in contract.JobInput) string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, "- "+fmt.Sprintf(format, args...)) }
	if in.RetryNumber > 0 {
		add("retry %d of the job %s", in.RetryNumber, in.Root)
	}
	if in.Lane != "" {
		add("lane %s", plain(in.Lane, 200))
	}
	if in.Timeout > 0 {
		add("an attempt may take %s", in.Timeout)
	}
	if !in.QueueUntil.IsZero() {
		add("a worker must take it before %s", in.QueueUntil.UTC().Format("2006-01-02T15:04:05Z"))
	}
	if !in.Deadline.IsZero() {
		add("it must be over before %s", in.Deadline.UTC().Format("2006-01-02T15:04:05Z"))
	}
	return strings.Join(lines, "\n")
}

// plain makes a name of a user fit for one line of Markdown with at most limit characters.
func plain(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r):
			return ' '
		case strings.ContainsRune("`*_[]<>\\|", r):
			return '\''
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return s
}

// show makes `temporal workflow list` and the Temporal UI find the workflow under its new status. The only error an
// upsert knows is a malformed attribute, which a status never is, and no job fails for the want of a label.
func show(ctx workflow.Context, s job.Status) {
	if err := workflow.UpsertTypedSearchAttributes(ctx, attrStatus.ValueSet(string(s))); err != nil {
		workflow.GetLogger(ctx).Error("status not shown", "status", s, "error", err)
	}
}

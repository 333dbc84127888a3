package workflows

import (
	"strconv"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

// The typed keys of the contract's search attributes.
var (
	attrAccount   = temporal.NewSearchAttributeKeyKeyword(contract.AttrAccount)
	attrJobConfig = temporal.NewSearchAttributeKeyKeyword(contract.AttrJobConfig)
	attrJob       = temporal.NewSearchAttributeKeyKeyword(contract.AttrJob)
	attrStatus    = temporal.NewSearchAttributeKeyKeyword(contract.AttrStatus)
	attrRootJob   = temporal.NewSearchAttributeKeyKeyword(contract.AttrRootJob)
	attrParentJob = temporal.NewSearchAttributeKeyKeyword(contract.AttrParentJob)
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
	return temporal.NewSearchAttributes(set...)
}

// Memo is what is shown of a Job, and of a Retry around it, without being searchable.
func Memo(in contract.JobInput) map[string]any {
	if in.ConfigName == "" {
		return nil
	}
	return map[string]any{contract.MemoJobConfig: in.ConfigName}
}

// show makes `temporal workflow list` and the Temporal UI find the workflow under its new status. The only error an
// upsert knows is a malformed attribute, which a status never is, and no job fails for the want of a label.
func show(ctx workflow.Context, s job.Status) {
	if err := workflow.UpsertTypedSearchAttributes(ctx, attrStatus.ValueSet(string(s))); err != nil {
		workflow.GetLogger(ctx).Error("status not shown", "status", s, "error", err)
	}
}

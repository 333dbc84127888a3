package workflows

// Change ids for workflow.GetVersion go here, one constant each, oldest first:
//
//	// changeX: what changed and since which release.
//	changeX = "x"
//
// There is none so far: every history under testdata/histories replays against the code as it stands. A change that
// breaks one of them (another order of calls, another activity or timer, another activity id, one upsert more or less)
// needs a GetVersion branch with a constant here, and new recordings beside the old ones, never instead of them;
// testdata/histories/README.md says how. GetVersion costs a history event, so the branch belongs where the behaviour
// differs and not at the top of the workflow. A constant may go when no history from before it can be open or be reset.

package settings

// OutLimits is what a job may leave as output files.
type OutLimits struct {
	Files     int
	Bytes     int64 // of all of them
	FileBytes int64 // of each; 0: as Bytes
}

var outLimitSettings = []setting{
	{name: "job-out-files", value: "1000", help: "output files that one job may leave"},
	{name: "job-out-bytes", value: "1073741824", help: "bytes of all output files of one job"},
	{name: "job-out-file-bytes", value: "0", help: "bytes of one output file; 0: as many as all may have"},
}

func (p *parser) outLimits() OutLimits {
	return OutLimits{
		// A job's list of files is read whole, and stored in one transaction.
		Files: int(p.number("job-out-files", 1, 10_000)), Bytes: p.number("job-out-bytes", 1, 1<<50),
		FileBytes: p.number("job-out-file-bytes", 0, 1<<50),
	}
}

package settings

import "time"

var processSettings = []setting{
	{name: "shutdown-delay", only: []Role{API}, value: "3s",
		help: "how long a process that was told to stop serves on with /readyz answering 503, so that balancers notice"},
}

func (p *parser) shutdownDelay() time.Duration { return p.duration("shutdown-delay", 0, time.Hour) }

package settings

import "time"

var processSettings = []setting{
	{name: "shutdown-delay", only: []Role{API}, value: "3s",
		help: "how long a process that was told to stop serves on with /readyz answering 503, so that balancers notice"},
	{name: "jobs-url", only: []Role{Up, WorkerOnly},
		help: "URL by which programs of jobs reach the REST API from where they run, such as a balancer's name in the network of the workers (default: --base-url)"},
}

func (p *parser) shutdownDelay() time.Duration { return p.duration("shutdown-delay", 0, time.Hour) }

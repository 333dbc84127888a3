package settings

import (
	"time"

	"waybill/internal/control"
)

var diemSettings = []setting{
	{
		name: "diem-services-timeout", only: servers, value: control.DefaultCallLimit.String(),
		help: "how long a services call of the DIEM door may take, 60s at most",
	},
}

func (p *parser) diemServicesTimeout() time.Duration {
	return p.duration("diem-services-timeout", time.Second, control.MaxCallLimit)
}

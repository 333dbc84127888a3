package settings

// Temporal is an external Temporal; with an empty Address it is the embedded one.
type Temporal struct {
	Address, Namespace string
}

var temporalSettings = []setting{
	{name: "temporal", help: "host:port of a Temporal frontend (default: embedded)"},
	{name: "temporal-namespace", value: "default", help: "namespace of an external Temporal"},
}

func (p *parser) temporal() Temporal {
	return Temporal{Address: p.optionalAddress("temporal"), Namespace: p.text("temporal-namespace")}
}

package app

import (
	"context"

	"go.temporal.io/sdk/client"

	"waybill/internal/app/datafolder"
	"waybill/internal/app/settings"
	"waybill/internal/engine"
	"waybill/internal/job"
	"waybill/internal/standalone"
)

// externalEngine is how the Temporal of the settings is reached.
func (p *parts) externalEngine() engine.Options {
	t := p.settings.Temporal
	o := engine.Options{Address: t.Address, Namespace: t.Namespace, Token: t.Token(), KeepAlive: t.KeepAlive, MaxMessage: t.MaxMessage, Log: p.log}
	if t.TLS {
		o.TLS = &engine.TLS{CA: t.CA, Cert: t.Cert, Key: t.Key, ServerName: t.ServerName}
	}
	return o
}

// embeddedEngine is how the Temporal of this process, or of the data folder, is reached. It asks for the token of the data folder
// unless it was told to let everybody in; then token is empty.
func (p *parts) embeddedEngine(address, namespace, token string) engine.Options {
	o := engine.Options{Address: address, Namespace: namespace, Log: p.log}
	if token != "" {
		o.Token = func(context.Context) (string, error) { return token, nil }
	}
	return o
}

// folderEngine is how the Temporal of the Waybill that runs on the data folder is reached.
func (p *parts) folderEngine(run datafolder.RunFile) (engine.Options, error) {
	if run.TemporalUI == "" { // as only the embedded one has it
		return engine.Options{}, job.Errorf(job.Invalid, job.WordMissingField, "its Waybill uses a Temporal of somebody else's: give %s", settings.Name("temporal"))
	}
	token := ""
	if !run.TemporalOpen {
		var err error
		if token, err = standalone.ReadToken(p.settings.Data); err != nil {
			return engine.Options{}, job.Wrap(err, job.Unavailable, job.WordDependencyDown, "its Temporal's token can not be read")
		}
	}
	return p.embeddedEngine(run.TemporalAddress, run.TemporalNamespace, token), nil
}

// dialTemporal connects to the engine and sees to it that the namespace has our search attributes. An engine that does not
// answer is Unavailable; what has to be mended by a person is Invalid.
func dialTemporal(ctx context.Context, o engine.Options) (client.Client, error) {
	c, err := engine.Dial(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := engine.Prepare(ctx, c, o); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func engineFault(err error, format string, args ...any) error {
	return job.Wrap(err, job.Unavailable, job.WordDependencyDown, format, args...)
}

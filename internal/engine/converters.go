package engine

import (
	"context"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Converters are those of a client, a worker or a replayer that uses the codec. Messages and stacks of failures are sealed, too; the
// types of errors, by which retries are decided, stay readable.
func Converters(c *Codec) (converter.DataConverter, converter.FailureConverter) {
	inWorkflows := *c
	inWorkflows.wait = true
	data := dataConverter{
		DataConverter: converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), c),
		// A key that is not known yet is read from the database, which may take longer than a workflow may think.
		inWorkflows: workflow.DataConverterWithoutDeadlockDetection(converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), &inWorkflows)),
	}
	return data, temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{DataConverter: data, EncodeCommonAttributes: c.seal})
}

// dataConverter is another one inside workflows: an error there would end the workflow for good, a panic only has the task tried
// again until the key is here.
type dataConverter struct {
	converter.DataConverter
	inWorkflows converter.DataConverter
}

var _ workflow.ContextAware = dataConverter{}

// WithWorkflowContext is workflow.ContextAware's.
func (d dataConverter) WithWorkflowContext(ctx workflow.Context) converter.DataConverter {
	if aware, ok := d.inWorkflows.(workflow.ContextAware); ok {
		return aware.WithWorkflowContext(ctx)
	}
	return d.inWorkflows
}

// WithContext is workflow.ContextAware's.
func (d dataConverter) WithContext(context.Context) converter.DataConverter { return d.DataConverter }

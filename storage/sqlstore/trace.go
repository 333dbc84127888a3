package sqlstore

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"gorm.io/gorm"

	"waybill/internal/job"
	"waybill/internal/tracing"
)

// tracePlugin makes a span of each statement that is executed for somebody whose own span is recorded. Spans tell what is done
// to which table; statements and values stay out of them.
type tracePlugin struct{}

// Name is gorm.Plugin's.
func (tracePlugin) Name() string { return "waybill:trace" }

// Initialize is gorm.Plugin's.
func (p tracePlugin) Initialize(db *gorm.DB) error {
	system := db.Name()
	if system == "postgres" {
		system = "postgresql" // OpenTelemetry's word
	}
	before := func(tx *gorm.DB) { beginStatement(tx, system) }
	on := db.Callback()
	for _, err := range []error{
		on.Raw().Before("gorm:raw").Register("waybill:begin", before), on.Raw().After("gorm:raw").Register("waybill:end", endStatement),
		on.Row().Before("gorm:row").Register("waybill:begin", before), on.Row().After("gorm:row").Register("waybill:end", endStatement),
		on.Query().Before("gorm:query").Register("waybill:begin", before), on.Query().After("gorm:query").Register("waybill:end", endStatement),
		on.Create().Before("gorm:create").Register("waybill:begin", before), on.Create().After("gorm:create").Register("waybill:end", endStatement),
		on.Update().Before("gorm:update").Register("waybill:begin", before), on.Update().After("gorm:update").Register("waybill:end", endStatement),
		on.Delete().Before("gorm:delete").Register("waybill:begin", before), on.Delete().After("gorm:delete").Register("waybill:end", endStatement),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// spanSetting is where a statement keeps its span.
const spanSetting = "waybill:span"

func beginStatement(tx *gorm.DB, system string) {
	if !trace.SpanFromContext(tx.Statement.Context).IsRecording() {
		return
	}
	_, span := tracing.Start(tx.Statement.Context, "sql", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("db.system.name", system)))
	tx.InstanceSet(spanSetting, span)
}

func endStatement(tx *gorm.DB) {
	if !trace.SpanFromContext(tx.Statement.Context).IsRecording() {
		return
	}
	kept, _ := tx.InstanceGet(spanSetting)
	span, ok := kept.(trace.Span)
	if !ok {
		return
	}
	operation, table := summary(tx.Statement.SQL.String())
	span.SetName(strings.TrimSpace(operation + " " + table))
	span.SetAttributes(attribute.String("db.operation.name", operation), attribute.String("db.collection.name", table))
	var err error
	if tx.Error != nil && tx.Error != gorm.ErrRecordNotFound { //nolint:errorlint // gorm sets it as it is
		err = job.Errorf(job.Internal, "", "statement failed")
	}
	tracing.End(span, err)
}

// summary tells what a statement does to which table, as far as its words say: "SELECT", "jobs".
func summary(statement string) (operation, table string) {
	words := strings.Fields(statement)
	for i, word := range words {
		upper := strings.ToUpper(word)
		if i == 0 {
			operation = upper
		}
		switch upper {
		case "FROM", "INTO", "UPDATE":
			if i+1 >= len(words) {
				continue
			}
			if name := strings.Trim(words[i+1], `"(),;`); plainName(name) {
				return operation, name
			}
		}
	}
	return operation, ""
}

// plainName tells whether a word is the name of a table.
func plainName(s string) bool {
	return s != "" && strings.ToUpper(s) != "SELECT" && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}

// traced makes a span of a transaction.
func (s *Store) traced(ctx context.Context) (context.Context, trace.Span) {
	ctx, span := tracing.Start(ctx, "transaction")
	if span.IsRecording() {
		system := "sqlite"
		if s.driver == Postgres {
			system = "postgresql"
		}
		span.SetAttributes(attribute.String("db.system.name", system))
	}
	return ctx, span
}

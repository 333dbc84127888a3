package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/storage/sqlstore"
)

// A series of a counter begins with its first count, and Prometheus takes no increase from nothing to that. So what alerts and the
// dashboard ask the increase or the rate of is shown from the start, as 0: a process that settles five lost jobs between two scrapes
// is seen to do so.

// fromZero shows the series of each of these values of the counter's labels.
func fromZero(counter *prometheus.CounterVec, series ...[]string) {
	for _, labels := range series {
		counter.WithLabelValues(labels...)
	}
}

// settledFrom are the endings that jobs are given in place of a worker.
var settledFrom = [][]string{
	ended(job.Failed, job.ReasonWorkerLost), ended(job.Failed, job.ReasonTerminated), ended(job.Failed, job.ReasonTimeout),
	ended(job.Failed, job.ReasonInvalidPackage), ended(job.Cancelled, job.ReasonStopped),
}

// finishedFrom are those that a worker gives them.
var finishedFrom = append([][]string{ended(job.Completed, job.ReasonNone), ended(job.Failed, job.ReasonError)}, settledFrom...)

func ended(status job.Status, reason job.Reason) []string {
	return []string{string(status), string(reason)}
}

// begin shows the series of m's counters whose labels are known before anything happens.
func (m *meters) begin() {
	fromZero(m.settled, settledFrom...)
	for _, trigger := range []job.Trigger{job.TriggerAPI, job.TriggerSchedule, job.TriggerRetry, job.TriggerDIEM, job.TriggerInformatica} {
		for _, made := range []control.Submitted{{}, {Replayed: true}, {Skipped: true}} {
			fromZero(m.submissions, []string{string(trigger), made.Outcome(), ""})
		}
	}
	for _, outcome := range []job.FireOutcome{job.FireStarted, job.FireSkipped, job.FireMissed, job.FireRefused} {
		fromZero(m.fires, []string{string(outcome)})
	}
	for _, kind := range []string{faultConnection, faultBusy, faultFull, faultServer, faultAccess} {
		fromZero(m.objectFault, []string{kind})
	}
}

// deliveredFrom are the outcomes of attempts of deliveries.
func deliveredFrom(attempts *prometheus.CounterVec) {
	for _, kind := range []job.DeliveryKind{job.DeliveryWebhook, job.DeliveryMail} {
		for _, outcome := range []string{string(job.DeliveryDelivered), "retried", string(job.DeliveryFailed)} {
			fromZero(attempts, []string{string(kind), outcome})
		}
	}
}

// troublesFrom are what can be wrong with the database.
func troublesFrom(failed *prometheus.CounterVec) {
	for _, kind := range []sqlstore.Trouble{
		sqlstore.TroubleSerialization, sqlstore.TroubleDeadlock, sqlstore.TroubleConnection, sqlstore.TroubleShutdown, sqlstore.TroubleReadOnly,
		sqlstore.TroubleTimeout, sqlstore.TroubleLock, sqlstore.TroubleResources, sqlstore.TroubleCommit, sqlstore.TroubleOther,
	} {
		for _, again := range []bool{false, true} {
			fromZero(failed, []string{string(kind), repeated(again)})
		}
	}
}

func repeated(again bool) string {
	if again {
		return "yes"
	}
	return "no"
}

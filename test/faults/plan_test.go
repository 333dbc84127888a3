package faults

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
)

// plan is what a job's program does; program/main.go has the same type.
type plan struct {
	Millis   int  `json:"millis,omitempty"`
	Code     int  `json:"code,omitempty"`
	Fail     int  `json:"fail,omitempty"`
	Stubborn bool `json:"stubborn,omitempty"`
	Records  int  `json:"records,omitempty"`
	Bad      int  `json:"bad,omitempty"`
}

func (p plan) String() string {
	text, err := json.Marshal(p)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// exits is the code of an execution after so many failures.
func (p plan) exits(failures int) int {
	if failures < p.Fail {
		return p.Code
	}
	return 0
}

const (
	always = 1 << 20 // failures of a plan that never succeeds
	// nonRetryable is an exit code that the configs with a retry policy do not try again.
	nonRetryable = 9
)

// kind is a job config and what its jobs are like.
type kind struct {
	name     string
	weight   int
	attempts int  // maximumAttempts; 0: no policy
	fails    bool // onWorkerLoss
	second   bool // runs on the second destination
	limit    int  // of its lane; 0: none
	onLimit  string
	lanes    []string // values of the macro that is the lane's key
	ordered  bool     // one of three starts says ordered=true
	retry    string   // scope of its retries
	plan     func(r *rand.Rand) plan

	id string // of the config
}

func millis(r *rand.Rand, low, high int) int { return low + r.IntN(high-low) }

// kinds are the configs of the mix.
func kinds() []*kind {
	short := func(r *rand.Rand) plan { return plan{Millis: r.IntN(200)} }
	return []*kind{
		{name: "short", weight: 16, plan: short},
		{name: "long", weight: 8, plan: func(r *rand.Rand) plan { return plan{Millis: millis(r, 1000, 9000)} }},
		{name: "stubborn", weight: 2, plan: func(r *rand.Rand) plan { return plan{Millis: millis(r, 500, 5000), Stubborn: true} }},
		{name: "failing", weight: 10, plan: func(r *rand.Rand) plan { return plan{Millis: r.IntN(600), Code: 1 + r.IntN(8), Fail: always} }},
		{name: "flaky", weight: 12, attempts: 3, plan: func(r *rand.Rand) plan {
			p := plan{Millis: r.IntN(500), Code: 1 + r.IntN(8), Fail: 1 + r.IntN(3)}
			if r.IntN(6) == 0 {
				p.Code = nonRetryable
			}
			return p
		}},
		{name: "once", weight: 5, fails: true, plan: func(r *rand.Rand) plan { return plan{Millis: millis(r, 200, 4000)} }},
		{name: "elsewhere", weight: 10, second: true, plan: func(r *rand.Rand) plan { return plan{Millis: millis(r, 100, 5000)} }},
		{name: "elsewhere-flaky", weight: 5, second: true, attempts: 3, plan: func(r *rand.Rand) plan {
			return plan{Millis: millis(r, 100, 2000), Code: 3, Fail: r.IntN(4)}
		}},
		{name: "lane", weight: 14, limit: 1, onLimit: "queue", lanes: []string{"a", "b"}, plan: func(r *rand.Rand) plan {
			return plan{Millis: millis(r, 200, 2500)}
		}},
		{name: "lane-of-two", weight: 12, limit: 2, onLimit: "queue", attempts: 3, lanes: []string{"c"}, plan: func(r *rand.Rand) plan {
			return plan{Millis: millis(r, 200, 4000), Code: 4, Fail: r.IntN(4) / 2}
		}},
		{name: "lane-of-three", weight: 10, limit: 3, onLimit: "queue", second: true, lanes: []string{"e"}, plan: func(r *rand.Rand) plan {
			return plan{Millis: millis(r, 300, 6000)}
		}},
		{name: "skip", weight: 3, limit: 1, onLimit: "skip", lanes: []string{"f"}, plan: func(r *rand.Rand) plan { return plan{Millis: r.IntN(3000)} }},
		{name: "refuse", weight: 3, limit: 2, onLimit: "fail", lanes: []string{"g"}, plan: func(r *rand.Rand) plan { return plan{Millis: r.IntN(3000)} }},
		{name: "ordered", weight: 6, ordered: true, plan: func(r *rand.Rand) plan { return plan{Millis: r.IntN(2000)} }},
		{name: "records", weight: 12, retry: "failed_records", plan: func(r *rand.Rand) plan {
			n := 1 + r.IntN(8)
			p := plan{Millis: r.IntN(800), Records: n, Bad: r.IntN(n + 1)}
			if r.IntN(3) == 0 {
				p.Code, p.Fail = 5, always
			}
			return p
		}},
	}
}

// config is the kind's job config without its package.
func (k *kind) config(observer, mark, destination string) object {
	c := object{"name": "faults " + k.name, "runtimeConfig": object{
		"packageName": "program.zip", "entryPoint": "program",
		"macros": []object{{"key": "FAULTS_OBSERVER", "value": observer}, {"key": markName, "value": mark}},
	}}
	if k.attempts > 0 {
		c["retryPolicy"] = object{
			"maximumAttempts": k.attempts, "initialInterval": "1s", "backoffCoefficient": 1.5, "maximumInterval": "3s",
			"nonRetryableExitCodes": []int{nonRetryable},
		}
	}
	if k.fails {
		c["onWorkerLoss"] = "fail"
	}
	if k.second {
		c["destinationId"] = destination
	}
	if k.limit > 0 {
		c["concurrency"] = object{"limit": k.limit, "key": "faults-" + k.name + "-$(FAULTS_LANE)", "onLimit": k.onLimit}
	}
	return c
}

// pick chooses a kind by weight.
func pick(all []*kind, r *rand.Rand) *kind {
	sum := 0
	for _, k := range all {
		sum += k.weight
	}
	n := r.IntN(sum)
	for _, k := range all {
		if n -= k.weight; n < 0 {
			return k
		}
	}
	panic("unreachable: the weights do not add up")
}

// body is what a start of the kind sends.
func (k *kind) body(r *rand.Rand) object {
	macros := []object{{"key": "FAULTS_PLAN", "value": k.plan(r).String()}}
	if len(k.lanes) > 0 {
		macros = append(macros, object{"key": "FAULTS_LANE", "value": k.lanes[r.IntN(len(k.lanes))]})
	}
	return object{"runtimeConfig": object{"macros": macros}}
}

// again is what a retry sends: most of them succeed, some fail as before.
func (k *kind) again(r *rand.Rand) object {
	b := object{"scope": "all"}
	if k.retry != "" {
		b["scope"] = k.retry
	}
	if r.IntN(10) < 7 {
		p := plan{Millis: r.IntN(1500)}
		if b["scope"] == "failed_records" {
			p.Records, p.Bad = 1, r.IntN(3) // the records are those that it is given
		}
		b["runtimeConfig"] = object{"macros": []object{{"key": "FAULTS_PLAN", "value": p.String()}}}
	}
	return b
}

// names gives the kinds by the id of their config.
func byConfig(all []*kind) map[string]*kind {
	of := map[string]*kind{}
	for _, k := range all {
		of[k.id] = k
	}
	return of
}

// describe is a line for the output of the test.
func describe(all []*kind) string {
	text := ""
	for _, k := range all {
		text += fmt.Sprintf(" %s=%s", k.name, k.id)
	}
	return text
}

package limit

import (
	"math"
	"time"
)

// Rule says how many calls one caller may make.
type Rule struct {
	// Name is what is limited, such as "diem" or "login". A caller has a bucket for each.
	Name string
	// Calls is what a bucket holds. 0 or less: there is no limit.
	Calls int
	// Every is the time in which a full bucket runs empty.
	Every time.Duration
	// AtOnce makes the bucket lose nothing until Every has passed since the first call in it, and then everything: the
	// windows in which some vendors count, whose clients rely on it.
	AtOnce bool
}

// Leaking is a bucket of calls that loses perSecond calls each second.
func Leaking(name string, calls int, perSecond float64) Rule {
	if calls <= 0 || perSecond <= 0 {
		return Rule{Name: name}
	}
	return Rule{Name: name, Calls: calls, Every: time.Duration(float64(calls) / perSecond * float64(time.Second))}
}

// Windows is calls in each window of time.
func Windows(name string, calls int, every time.Duration) Rule {
	return Rule{Name: name, Calls: max(calls, 0), Every: every, AtOnce: true}
}

// On tells whether there is a limit.
func (r Rule) On() bool { return r.Calls > 0 && r.Every > 0 }

// Level is how full a bucket was at a time.
type Level struct {
	Calls float64
	// At is the time that Calls are of or, of a bucket that is emptied at once, the beginning of its window.
	At time.Time
}

// At is what is left of a level later. A clock that goes back changes nothing.
func (r Rule) At(l Level, now time.Time) Level {
	passed := now.Sub(l.At)
	switch {
	case passed <= 0:
		return l
	case passed >= r.Every:
		return Level{At: now}
	case r.AtOnce:
		return l
	}
	return Level{Calls: max(0, l.Calls-float64(passed)*r.speed()), At: now}
}

// speed is what a bucket loses in a nanosecond.
func (r Rule) speed() float64 { return float64(r.Calls) / float64(r.Every) }

// fits tells whether one more call goes into a bucket of that level. What was added up of many parts may be off in the last digits.
func (r Rule) fits(l Level) bool { return l.Calls+1 <= float64(r.Calls)+1e-6 }

// Wait is how long after now one more call fits into a bucket of that level.
func (r Rule) Wait(l Level, now time.Time) time.Duration {
	if l = r.At(l, now); r.fits(l) {
		return 0
	}
	if r.AtOnce {
		return l.At.Add(r.Every).Sub(now)
	}
	return time.Duration(math.Ceil((l.Calls+1-float64(r.Calls))/r.speed())) + l.At.Sub(now)
}

// Empty is when a bucket of that level has run empty.
func (r Rule) Empty(l Level) time.Time {
	if r.AtOnce {
		return l.At.Add(r.Every)
	}
	return l.At.Add(time.Duration(math.Ceil(l.Calls / r.speed())))
}

// credit is the rule by which a process lets calls through without telling the others: a tenth of the bucket, and of its speed.
// Of a bucket of less than ten it is nothing: each call is told.
func (r Rule) credit() Rule {
	return Rule{Calls: r.Calls / creditPart, Every: r.Every}
}

// creditPart is the part of a limit that a process does not tell the others about.
const creditPart = 10

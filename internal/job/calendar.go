package job

// Calendar narrows a schedule beyond what its pattern or interval can say. All of its times are wall-clock times in the rule's zone.
//
// With a pattern, which then names one time of the day, the schedule fires once on each date: a time that a change of the clock skips
// comes at the first valid moment after it, one that comes twice fires the first time, or the second.
type Calendar struct {
	// EveryDays and EveryWeeks, when over 1, are counted from the date From; weeks begin on Sunday.
	EveryDays  int    `json:"everyDays,omitempty"`
	EveryWeeks int    `json:"everyWeeks,omitempty"`
	From       string `json:"from,omitempty"` // 2006-01-02
	// DayOfMonth is a day that becomes the last one in months that lack it; 0: as the pattern says.
	DayOfMonth int `json:"dayOfMonth,omitempty"`
	// Later takes the second of two equal times.
	Later bool `json:"later,omitempty"`
	// Of intervals: the days of the week on which it fires, Sunday being 0 (none: every day), and the time of the day between which it
	// does, both included.
	Weekdays  []int  `json:"weekdays,omitempty"`
	RangeFrom string `json:"rangeFrom,omitempty"` // 15:04:05
	RangeTo   string `json:"rangeTo,omitempty"`
}

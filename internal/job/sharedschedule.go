package job

import "time"

// SharedSchedule is a schedule of an account that job configs are put on. Such a config's Schedule follows it.
type SharedSchedule struct {
	ID        int64
	AccountID int64
	Name      string // unique in the account without regard to case
	Plan      SharedPlan
	Rule      ScheduleRule // what Plan comes to for the configs

	CreatedAt  time.Time
	CreatedBy  UserRef
	ModifiedAt time.Time
	ModifiedBy string
	Change     int64 // grows with every write
}

// SharedPlan is what a user says of a shared schedule, in the words of the Informatica door. Times are what a clock in Zone shows,
// written as if it were UTC.
type SharedPlan struct {
	Description string    `json:"description,omitempty"`
	Zone        string    `json:"zone"` // IANA name
	Start       time.Time `json:"start"`
	Later       bool      `json:"later,omitempty"` // Start comes twice, and the second one is meant
	End         time.Time `json:"end,omitzero"`
	Every       string    `json:"every"` // an interval word: Daily
	Frequency   int       `json:"frequency"`
	RangeStart  time.Time `json:"rangeStart,omitzero"`
	RangeEnd    time.Time `json:"rangeEnd,omitzero"`
	Days        [7]bool   `json:"days"` // from Sunday
	WorkDays    bool      `json:"workDays,omitempty"`
	DayOfMonth  int       `json:"dayOfMonth,omitempty"`
	WeekOfMonth string    `json:"weekOfMonth,omitempty"`
	DayOfWeek   string    `json:"dayOfWeek,omitempty"`
}

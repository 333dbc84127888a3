package job

import "time"

// DoorSession is a login by session id, as clients of the Informatica door have it. The id itself is kept by nobody but the client.
type DoorSession struct {
	Hash      string // hex SHA-256 of the id
	UserID    int64
	AccountID int64
	CreatedAt time.Time
	UsedAt    time.Time // written once a minute at most
	EndedAt   time.Time // zero: nobody ended it
}

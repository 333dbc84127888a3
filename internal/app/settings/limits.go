package settings

// Limits is how many calls a caller may make. 0: any number.
type Limits struct {
	Rate        int // of the native door, each second
	Bucket      int // of the native door, at once
	DIEM        int // a minute, for each key
	Informatica int // a minute, for each session
	Logins      int // a minute, for each address
}

var limitSettings = []setting{
	{name: "rate-limit", only: servers, value: "0", help: "calls a second that one login may make on the native API in the long run, such as 30; 0: any number"},
	{name: "rate-bucket", only: servers, value: "100", help: "calls that one login may make at once on the native API, with --rate-limit"},
	{name: "diem-rate-limit", only: servers, value: "100", help: "calls a minute with one key on the DIEM door; 0: any number"},
	{name: "informatica-rate-limit", only: servers, value: "600", help: "calls a minute in one session on the Informatica door; 0: any number"},
	{name: "login-rate-limit", only: servers, value: "20", help: "logins a minute from one address, on all doors together; 0: any number"},
}

func (p *parser) limits() Limits {
	const most = 1_000_000
	return Limits{
		Rate: int(p.number("rate-limit", 0, most)), Bucket: int(p.number("rate-bucket", 1, most)), DIEM: int(p.number("diem-rate-limit", 0, most)),
		Informatica: int(p.number("informatica-rate-limit", 0, most)), Logins: int(p.number("login-rate-limit", 0, most)),
	}
}

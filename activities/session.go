package activities

// session gives the program what it calls the API with: a token that is good while this attempt runs, and the address.
func (x *execution) session() (token, url string, err error) {
	if x.a.cfg.Tokens != nil {
		token, err = x.a.cfg.Tokens.Issue(x.job, x.fence)
	}
	if x.a.cfg.URL != nil {
		url = x.a.cfg.URL()
	}
	return token, url, err
}

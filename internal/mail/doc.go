// Package mail sends messages through an SMTP server. It is the only package that imports the mail library.
package mail

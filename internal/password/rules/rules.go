// Package rules tells which new passwords are good enough, after NIST SP 800-63B, 5.1.1.2: length counts, not the kinds of
// characters; what everybody tries first is refused, and so is what is made of the user's own name. It imports the standard
// library only.
package rules

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Limits of a new password. Older, shorter ones go on working.
const (
	MinLength = 12   // characters
	MaxSize   = 1024 // bytes: hashing takes longer the more there are
)

const (
	minDifferent = 5 // characters that differ
	minOwn       = 6 // characters that are no common word, no sequence and no name of the user's
)

// commonText is words that people make passwords of.
//
//go:embed common.txt
var commonText string

var common = sync.OnceValue(func() []string {
	return strings.Fields(commonText)
})

// longestFirst keeps "administrator" from being seen as "admin" and a rest.
func longestFirst(a, b string) int { return len(b) - len(a) }

// Check tells what is wrong with a new password, never repeating it. names are those of the user: its own characters count for
// nothing either.
func Check(password string, names ...string) error {
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return errors.New("a password is text without NUL")
	case n < MinLength:
		return fmt.Errorf("a password has at least %d characters", MinLength)
	case len(password) > MaxSize:
		return fmt.Errorf("a password has at most %d bytes", MaxSize)
	}
	text := []rune(plain(password))
	if different(text) < minDifferent {
		return fmt.Errorf("a password has at least %d different characters", minDifferent)
	}
	text = piece(text)
	if len(text) < minOwn {
		return errors.New("the password repeats itself")
	}
	left := string(text)
	var own []string
	for _, name := range names {
		local, _, _ := strings.Cut(name, "@")
		for _, n := range []string{name, local} {
			if n = plain(n); utf8.RuneCountInString(n) >= 3 {
				own = append(own, n)
			}
		}
	}
	words := slices.Concat(own, common())
	slices.SortStableFunc(words, longestFirst)
	for _, word := range words {
		left = strings.ReplaceAll(left, word, "\x00") // a mark, lest two halves make a new word
	}
	if rest(left) < minOwn {
		return errors.New("the password is made of common words, sequences or the user's name, which are tried first")
	}
	return nil
}

// plain is a text as somebody who guesses sees it: without case, and with letters for the signs that stand for them.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '@':
			return 'a'
		case '$':
			return 's'
		}
		return unicode.ToLower(r)
	}, s)
}

func different(text []rune) int {
	seen := map[rune]bool{}
	for _, r := range text {
		seen[r] = true
	}
	return len(seen)
}

// piece is what a text that repeats itself repeats, else the text.
func piece(text []rune) []rune {
	for n := 1; n <= len(text)/2; n++ {
		again := true
		for i := n; i < len(text) && again; i++ {
			again = text[i] == text[i-n]
		}
		if again {
			return text[:n]
		}
	}
	return text
}

// rows are what fingers and tongues run along.
var rows = []string{"abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm", "azertyuiop", "qazwsxedcrfvtgbyhnujmikolp", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "!@#$%^&*()"}

// rest counts the characters that are in no common word and no run of three or more along a row, to and fro. Of characters that
// stand together and are alike, two count.
func rest(text string) (n int) {
	runes := []rune(text)
	for i := 0; i < len(runes); {
		if runes[i] == 0 {
			i++
			continue
		}
		run := runAt(runes[i:])
		switch {
		case run >= 3:
			n++ // where it begins is the guess
		default:
			run = 1
			n++
		}
		i += run
	}
	return n
}

// runAt is how many of the first characters run along a row or are alike.
func runAt(text []rune) (longest int) {
	alike := 1
	for alike < len(text) && text[alike] == text[0] {
		alike++
	}
	longest = alike
	for _, row := range rows {
		for _, r := range []string{row, backwards(row)} {
			at := strings.IndexRune(r, text[0])
			if at < 0 {
				continue
			}
			n := 0
			for n < len(text) && at+n < len(r) && rune(r[at+n]) == text[n] {
				n++
			}
			longest = max(longest, n)
		}
	}
	return longest
}

func backwards(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

package rules

import (
	"strings"
	"testing"
)

func TestWhatEverybodyTriesFirstIsRefused(t *testing.T) {
	t.Parallel()
	for _, password := range []string{
		"", "short", "elevenchars", "123456789012", "qwertyuiop12", "qwertyuiopasdf", "aaaaaaaaaaaa", "abababababab", "password1234", "Password2024!",
		"P@$$word2025!!", "passwordpassword", "hunter2hunter2", "welcome-welcome", "adminadmin123", "administrator1", "letmein-letmein", "abcdefghijkl",
		"zyxwvutsrqpo", "1qaz2wsx3edc4rfv", "qazwsxedcrfv", "changeme-please"[:12], "Summer2025Summer", "iloveyou12345", "correcthorsebatterystaple", "waybill-waybill",
		"admin-password", "password\x00password", "\xff\xfe234567890abc", strings.Repeat("x7Kq", 300), "000000000000", "111222333444", "aaabbbcccddd",
	} {
		if err := Check(password, "admin"); err == nil {
			t.Errorf("%q is taken", password)
		} else if password != "" && strings.Contains(err.Error(), password) {
			t.Errorf("the error repeats the password: %v", err)
		}
	}
	for name, password := range map[string]string{"alice": "alice-alice-1", "bob@example.com": "bob@example.com", "Alice": "ALICE12345678", "carol": "my-carol-pw"} {
		if Check(password, name) == nil {
			t.Errorf("%q is taken for %s", password, name)
		}
	}
}

func TestOthersAreTaken(t *testing.T) {
	t.Parallel()
	for _, password := range []string{
		"example-password", "password-of-bob", "V7qGm2ZpXw9LtR4cHs8KbN3d", "tulips walk at dawn", "żółw pędzi nocą", "48213957610284", "Tr0ub4dor&3xyz", "a long sentence is fine",
		strings.Repeat("x7Kq-Yz0p/Lm3", 10) + "!",
	} {
		if err := Check(password, "admin", ""); err != nil {
			t.Errorf("%q: %v", password, err)
		}
	}
}

// FuzzCheck holds that nothing panics, and that what is longer than all limits is refused.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{"example-password", "qwertyuiop12", "\x00\xff", "passwordpassword"} {
		f.Add(s, "admin")
	}
	f.Fuzz(func(t *testing.T, password, name string) {
		err := Check(password, name)
		if err == nil && (len(password) > MaxSize || len([]rune(password)) < MinLength) {
			t.Fatalf("%d bytes are taken", len(password))
		}
	})
}

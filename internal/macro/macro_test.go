package macro

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"waybill/internal/job"
)

func resolve(t *testing.T, macros ...job.Macro) (map[string]Resolved, error) {
	t.Helper()
	open := func(sealed string) (string, error) { return strings.TrimPrefix(sealed, "sealed:"), nil }
	list, err := Resolve(macros, map[string]string{"JOB_ID": "j1"}, open)
	out := map[string]Resolved{}
	for _, r := range list {
		out[r.Key] = r
	}
	return out, err
}

func TestReferencesResolveAtAnyDepthAndSecretsSpread(t *testing.T) {
	got, err := resolve(t,
		job.Macro{Key: "URL", Value: "https://$(HOST)/$(JOB_ID)?k=$(TOKEN)"},
		job.Macro{Key: "HOST", Value: "$(NAME).example"},
		job.Macro{Key: "NAME", Value: "a"},
		job.Macro{Key: "TOKEN", Sealed: "sealed:s3cret", Secure: true},
		job.Macro{Key: "SHELL", Value: "$(unknown) $($(NAME) $( $(NAME"})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]Resolved{
		"URL":   {"URL", "https://a.example/j1?k=s3cret", true},
		"HOST":  {"HOST", "a.example", false},
		"TOKEN": {"TOKEN", "s3cret", true},
		"SHELL": {"SHELL", "$(unknown) $(a $( $(NAME", false},
	} {
		if got[key] != want {
			t.Errorf("%s = %+v, want %+v", key, got[key], want)
		}
	}
}

func TestALiteralValueIsTakenAsItIs(t *testing.T) {
	got, err := resolve(t,
		job.Macro{Key: "text", Value: "costs $(text) or $(TOKEN)", Literal: true},
		job.Macro{Key: "SEALED", Sealed: "sealed:$(TOKEN)", Secure: true, Literal: true},
		job.Macro{Key: "TOKEN", Sealed: "sealed:s3cret", Secure: true},
		job.Macro{Key: "LINE", Value: "it $(text)"})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]Resolved{
		"text":   {"text", "costs $(text) or $(TOKEN)", false},
		"SEALED": {"SEALED", "$(TOKEN)", true},
		"LINE":   {"LINE", "it costs $(text) or $(TOKEN)", false},
	} {
		if got[key] != want {
			t.Errorf("%s = %+v, want %+v", key, got[key], want)
		}
	}
}

func TestLoopsAndExplosionsAreRefused(t *testing.T) {
	if _, err := resolve(t, job.Macro{Key: "A", Value: "$(B)"}, job.Macro{Key: "B", Value: "x$(A)"}); job.CodeOf(err) != job.Invalid {
		t.Errorf("loop: err = %v, want invalid", err)
	}
	bomb := []job.Macro{{Key: "M0", Value: strings.Repeat("x", 1000)}}
	for i := 1; i < 30; i++ {
		ref := "$(M" + string(rune('0'+(i-1)%10)) + ")"
		key := "M" + string(rune('0'+i%10))
		if i >= 10 {
			ref, key = "$("+bomb[i-1].Key+")", "N"+strings.Repeat("n", i)
		}
		bomb = append(bomb, job.Macro{Key: key, Value: ref + ref})
	}
	if err := Check(bomb); job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), "grows beyond") {
		t.Errorf("explosion: err = %v, want invalid", err)
	}
}

func TestTheValuesTogetherAreBounded(t *testing.T) {
	many := []job.Macro{{Key: "BASE", Value: strings.Repeat("x", 200<<10)}}
	for i := range 300 {
		many = append(many, job.Macro{Key: fmt.Sprintf("M%d", i), Value: "$(BASE)$(BASE)$(BASE)$(BASE)$(BASE)"})
	}
	if err := Check(many[:4]); err != nil {
		t.Errorf("3.2 MB in all: %v", err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := Check(many)
	runtime.ReadMemStats(&after)
	if job.CodeOf(err) != job.Invalid || !strings.Contains(err.Error(), "all macros together") {
		t.Errorf("300 MB in all: err = %v, want invalid", err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
		t.Errorf("%d bytes allocated to find out", took)
	}
	var opened int
	sealed := make([]job.Macro, 1000)
	for i := range sealed {
		sealed[i] = job.Macro{Key: fmt.Sprintf("S%d", i), Sealed: "s", Secure: true}
	}
	_, err = Resolve(sealed, nil, func(string) (string, error) { opened++; return strings.Repeat("y", 256<<10), nil })
	if job.CodeOf(err) != job.Invalid || opened > MaxTotal/(256<<10)+1 {
		t.Errorf("%d values opened, err = %v, want invalid", opened, err)
	}
}

func TestAChainIsRefusedAtItsLengthInAnyOrder(t *testing.T) {
	chain := func(n int) []job.Macro {
		out := make([]job.Macro, n)
		for i := range out {
			out[i] = job.Macro{Key: fmt.Sprintf("M%d", i), Value: fmt.Sprintf("$(M%d)", i+1)}
		}
		return out
	}
	for _, turn := range []bool{false, true} {
		for n, want := range map[int]job.Code{MaxDepth: "", MaxDepth + 1: job.Invalid, 1000: job.Invalid} {
			list := chain(n)
			if turn {
				slices.Reverse(list)
			}
			if err := Check(list); job.CodeOf(err) != want {
				t.Errorf("%d macros, turned round: %v: err = %v, want %q", n, turn, err, want)
			}
		}
	}
}

func TestMergeLetsLaterListsWin(t *testing.T) {
	got := Merge([]job.Macro{{Key: "A", Value: "1"}, {Key: "B", Value: "1"}}, []job.Macro{{Key: "B", Value: "2"}, {Key: "C", Value: "2"}})
	want := []job.Macro{{Key: "A", Value: "1"}, {Key: "B", Value: "2"}, {Key: "C", Value: "2"}}
	if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("got %+v", got)
	}
}

func FuzzResolveNeverGrowsPastItsLimit(f *testing.F) {
	f.Add("$(B)$(B)", "x$(A)")
	f.Add("$($(B))", "$(")
	f.Fuzz(func(t *testing.T, a, b string) {
		list, err := Resolve([]job.Macro{{Key: "A", Value: a}, {Key: "B", Value: b}}, nil, nil)
		if err != nil {
			return
		}
		for _, r := range list {
			if len(r.Value) > MaxValue {
				t.Fatalf("%d bytes", len(r.Value))
			}
		}
	})
}

func BenchmarkCheckOfManyOpenReferences(b *testing.B) {
	value := strings.Repeat("$(", 100<<10) + ")"
	for b.Loop() {
		if err := Check([]job.Macro{{Key: "A", Value: value}}); err != nil {
			b.Fatal(err)
		}
	}
}

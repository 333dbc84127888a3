package engine

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"

	"waybill/internal/secret"
)

func ring(keys ...secret.Keys) *secret.Ring {
	r := secret.NewRing()
	setKeys(r, keys...)
	return r
}

func setKeys(r *secret.Ring, keys ...secret.Keys) {
	var numbered []secret.Numbered
	for i, k := range keys {
		numbered = append(numbered, secret.Numbered{Number: int64(i + 1), Keys: k})
	}
	r.Set(numbered)
}

func codecOf(r *secret.Ring, seal bool) *Codec { return NewCodec(r.Box(PayloadUse), seal) }

func payload(t testing.TB, value any) *commonpb.Payload {
	t.Helper()
	p, err := converter.GetDefaultDataConverter().ToPayload(value)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAPayloadIsSealedWholeAndOpened(t *testing.T) {
	c := codecOf(ring(secret.NewKey()), true)
	plain := []*commonpb.Payload{payload(t, "very private"), payload(t, nil), payload(t, []byte{1, 2})}
	sealed, err := c.Encode(plain)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := c.Encode(plain)
	for i, p := range sealed {
		if bytes.Contains(p.GetData(), []byte("private")) || string(p.GetMetadata()["encoding"]) != SealedEncoding || len(p.GetMetadata()) != 2 {
			t.Errorf("sealed: %v", p)
		}
		if bytes.Equal(p.GetData(), again[i].GetData()) {
			t.Error("the same payload is sealed to the same bytes twice")
		}
	}
	twice, err := c.Encode(sealed)
	if err != nil || !proto.Equal(twice[0], sealed[0]) {
		t.Errorf("a sealed one is sealed again: %v", err)
	}
	opened, err := c.Decode(sealed)
	if err != nil {
		t.Fatal(err)
	}
	for i := range plain {
		if !proto.Equal(opened[i], plain[i]) {
			t.Errorf("got %v, want %v", opened[i], plain[i])
		}
	}
}

func TestPlainAndSealedPayloadsOfAllKeysAreReadTogether(t *testing.T) {
	old, newer := secret.NewKey(), secret.NewKey()
	r := ring(old)
	c := codecOf(r, true)
	first, _ := c.Encode([]*commonpb.Payload{payload(t, 1)})
	setKeys(r, old, newer)
	second, _ := c.Encode([]*commonpb.Payload{payload(t, 2)})
	if KeyOf(first[0]) != old.ID() || KeyOf(second[0]) != newer.ID() {
		t.Errorf("keys %q, %q", KeyOf(first[0]), KeyOf(second[0]))
	}
	for _, seal := range []bool{true, false} {
		opened, err := codecOf(r, seal).Decode([]*commonpb.Payload{first[0], payload(t, 3), second[0]})
		if err != nil || string(opened[0].GetData())+string(opened[1].GetData())+string(opened[2].GetData()) != "132" {
			t.Errorf("opened %v, %v", opened, err)
		}
	}
	plain := []*commonpb.Payload{payload(t, 4)}
	if out, err := codecOf(r, false).Encode(plain); err != nil || !proto.Equal(out[0], plain[0]) {
		t.Errorf("a codec that does not seal made %v, %v", out, err)
	}
}

func TestASealedPayloadThatWasChangedIsNotOpened(t *testing.T) {
	a, b := secret.NewKey(), secret.NewKey()
	c := codecOf(ring(a, b), true)
	sealed, _ := c.Encode([]*commonpb.Payload{payload(t, "x")})
	for name, change := range map[string]func(*commonpb.Payload){
		"data":          func(p *commonpb.Payload) { p.Data[len(p.Data)-1] ^= 1 },
		"nothing left":  func(p *commonpb.Payload) { p.Data = nil },
		"another's key": func(p *commonpb.Payload) { p.Metadata[SealedKeyID] = []byte(a.ID()) },
		"no such key":   func(p *commonpb.Payload) { p.Metadata[SealedKeyID] = []byte("00000000") },
	} {
		p := proto.CloneOf(sealed[0])
		change(p)
		if out, err := c.Decode([]*commonpb.Payload{p}); err == nil {
			t.Errorf("%s: opened %v", name, out)
		}
	}
	other := NewCodec(ring(a, b).Box("another use"), true)
	if _, err := other.Decode(sealed); !errors.Is(err, secret.ErrNotSealed) {
		t.Errorf("with the key of another use: %v", err)
	}
}

func TestAKeyThatIsMadeElsewhereIsLookedFor(t *testing.T) {
	old, newer := secret.NewKey(), secret.NewKey()
	sealed, _ := codecOf(ring(old, newer), true).Encode([]*commonpb.Payload{payload(t, "x")})
	r := ring(old)
	c := codecOf(r, true)
	if _, err := c.Decode(sealed); !errors.Is(err, secret.ErrNoKey) {
		t.Errorf("without the key: %v", err)
	}
	r.OnMissing(func(id string) {
		if id == newer.ID() {
			setKeys(r, old, newer)
		}
	})
	if _, err := c.Decode(sealed); err != nil {
		t.Errorf("with a way to the key: %v", err)
	}
}

// Inside a workflow an error would end it for good.
func TestAMissingKeyMakesAWorkflowTaskFailAndNotTheWorkflow(t *testing.T) {
	sealed, _ := codecOf(ring(secret.NewKey()), true).Encode([]*commonpb.Payload{payload(t, "x")})
	c := codecOf(ring(secret.NewKey()), true)
	inside := *c
	inside.wait = true
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	_, _ = inside.Decode(sealed)
}

func TestMessagesOfFailuresAreSealedAndTheirTypesAreNot(t *testing.T) {
	for _, seal := range []bool{true, false} {
		_, failures := Converters(codecOf(ring(secret.NewKey()), seal))
		made := failures.ErrorToFailure(temporal.NewApplicationError("password hunter2 is wrong", "invalid", "detail hunter3"))
		text := made.String()
		if strings.Contains(text, "hunter") == seal {
			t.Errorf("sealing %v: %s", seal, text)
		}
		if made.GetApplicationFailureInfo().GetType() != "invalid" {
			t.Errorf("the type is %q", made.GetApplicationFailureInfo().GetType())
		}
		back := failures.FailureToError(made)
		var app *temporal.ApplicationError
		var detail string
		if !errors.As(back, &app) || app.Message() != "password hunter2 is wrong" || app.Details(&detail) != nil || detail != "detail hunter3" {
			t.Errorf("came back as %v, %q", back, detail)
		}
	}
}

func FuzzDecode(f *testing.F) {
	c := codecOf(ring(secret.NewKey()), true)
	sealed, _ := c.Encode([]*commonpb.Payload{payload(f, "x")})
	f.Add([]byte(SealedEncoding), sealed[0].GetMetadata()[SealedKeyID], sealed[0].GetData())
	f.Add([]byte("json/plain"), []byte(nil), []byte(`"x"`))
	f.Add([]byte(SealedEncoding), []byte("00000000"), []byte{})
	f.Fuzz(func(t *testing.T, encoding, key, data []byte) {
		p := &commonpb.Payload{Metadata: map[string][]byte{"encoding": encoding, SealedKeyID: key}, Data: data}
		out, err := c.Decode([]*commonpb.Payload{p})
		if string(encoding) != SealedEncoding && (err != nil || !proto.Equal(out[0], p)) {
			t.Errorf("what is not sealed came back as %v, %v", out, err)
		}
	})
}

func BenchmarkCodec(b *testing.B) {
	c := codecOf(ring(secret.NewKey()), true)
	plain := []*commonpb.Payload{payload(b, strings.Repeat("0123456789", 200))}
	for b.Loop() {
		sealed, err := c.Encode(plain)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Decode(sealed); err != nil {
			b.Fatal(err)
		}
	}
}

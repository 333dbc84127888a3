package workflows

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	commonpb "go.temporal.io/api/common/v1"
	failurepb "go.temporal.io/api/failure/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/proto"

	"waybill/internal/engine"
	"waybill/internal/secret"
)

// SealedCodec is the codec of the sealed histories in testdata/sealed. Its key protects nothing else.
func SealedCodec(t testing.TB) *engine.Codec {
	t.Helper()
	key, err := secret.ParseKeys(strings.Repeat("5ea1", 16))
	if err != nil {
		t.Fatal(err)
	}
	return engine.NewCodec(secret.NewRing(secret.Numbered{Number: 1, Keys: key}).Box(engine.PayloadUse), true)
}

func replaySealed(t *testing.T, codec *engine.Codec, h *historypb.History) error {
	t.Helper()
	var o worker.WorkflowReplayerOptions
	o.DataConverter, o.FailureConverter = engine.Converters(codec)
	replayer, err := worker.NewWorkflowReplayerWithOptions(o)
	if err != nil {
		t.Fatal(err)
	}
	Register(replayer)
	return replayer.ReplayWorkflowHistory(quiet{}, h)
}

// Sealing may be switched on and off under jobs that run: the codec reads both.
func TestPlainHistoriesReplayWithTheCodec(t *testing.T) {
	t.Parallel()
	for name, h := range histories(t) {
		if strings.HasPrefix(name, "must_fail_") {
			continue
		}
		if err := replaySealed(t, SealedCodec(t), h); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHistoriesReplayWhenTheyAreSealed(t *testing.T) {
	t.Parallel()
	codec := SealedCodec(t)
	data, _ := engine.Converters(codec)
	for name, h := range histories(t) {
		if strings.HasPrefix(name, "must_fail_") {
			continue
		}
		sealed := 0
		err := proxy.VisitFailures(t.Context(), h, proxy.VisitFailuresOptions{Visitor: func(_ *proxy.VisitFailuresContext, f *failurepb.Failure) error {
			return converter.EncodeCommonFailureAttributes(data, f)
		}})
		if err == nil {
			err = proxy.VisitPayloads(t.Context(), h, proxy.VisitPayloadsOptions{
				SkipSearchAttributes: true,
				Visitor: func(_ *proxy.VisitPayloadsContext, p []*commonpb.Payload) ([]*commonpb.Payload, error) {
					sealed += len(p)
					return codec.Encode(p)
				},
			})
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if sealed == 0 {
			t.Errorf("%s: nothing was sealed", name)
		}
		if err := replaySealed(t, codec, h); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The files in testdata/sealed were recorded with a codec on a real server.
func TestSealedHistoriesShowNothingAndReplay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "sealed", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 5 {
		t.Fatalf("only %d sealed histories", len(files))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		h, err := client.HistoryFromJSON(bytes.NewReader(text), client.HistoryJSONOptions{})
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		plain := 0
		see := func(_ *proxy.VisitPayloadsContext, list []*commonpb.Payload) ([]*commonpb.Payload, error) {
			for _, p := range list {
				if engine.KeyOf(p) == "" {
					plain++
				}
			}
			return list, nil
		}
		if err := proxy.VisitPayloads(t.Context(), proto.CloneOf(h), proxy.VisitPayloadsOptions{SkipSearchAttributes: true, Visitor: see}); err != nil {
			t.Fatal(err)
		}
		if plain > 0 {
			t.Errorf("%s: %d payloads are in clear", file, plain)
		}
		if err := replaySealed(t, SealedCodec(t), h); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		other := engine.NewCodec(secret.NewRing(secret.Numbered{Number: 1, Keys: secret.NewKey()}).Box(engine.PayloadUse), true)
		if replaySealed(t, other, h) == nil {
			t.Errorf("%s replays without its key", file)
		}
	}
}

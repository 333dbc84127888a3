package fuzzdoors

// example is a call that a document shows, with its answer.
type example struct{ name string }

func examplesOf(map[string]any) []example { return nil }

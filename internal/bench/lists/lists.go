package lists

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"waybill/storage/sqlstore"
)

// Options are what a caller of Measure chooses.
type Options struct {
	Jobs     []int           // how many there are in each database, two or more numbers; the last is compared with the first
	N        int             // how often each question is asked of each
	Only     *regexp.Regexp  // names of the questions; nil: all
	Database sqlstore.Config // of PostgreSQL: databases are made beside the one of its URL; else files in a temporary folder
	Out      io.Writer
}

// Fewest is how many jobs a database needs for all questions to have an answer.
const Fewest = 2000

// warmUp is how often a question is asked before it counts: caches of a database that runs are warm, and its statements planned.
const warmUp = 20

// slow is how long all of a question may take; one that takes longer is asked less than N times, but not less than least.
const (
	slow  = 20 * time.Second
	least = 5
)

// Measure prints what it measures as it goes.
func Measure(ctx context.Context, o Options) (err error) {
	folder, err := os.MkdirTemp("", "waybill-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	var sets []*set
	defer func() {
		for _, s := range sets {
			err = errors.Join(err, s.close())
		}
	}()
	for _, jobs := range o.Jobs {
		start := time.Now()
		s, err := o.open(ctx, folder, jobs)
		if err != nil {
			return fmt.Errorf("%d jobs: %w", jobs, err)
		}
		sets = append(sets, s)
		fmt.Fprintf(o.Out, "%d jobs made in %s\n", jobs, time.Since(start).Round(time.Second))
	}
	fmt.Fprintf(o.Out, "\n| %-30s | times |", "question")
	for _, jobs := range o.Jobs {
		fmt.Fprintf(o.Out, " p50 of %8d | p99 of %8d |", jobs, jobs)
	}
	fmt.Fprintln(o.Out, " ratio p50 | ratio p99 |\n|---|---|"+strings.Repeat("---|---|", len(sets)+1))
	for _, q := range questions {
		if o.Only != nil && !o.Only.MatchString(q.name) {
			continue
		}
		took, err := o.ask(ctx, q, sets)
		if err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		fmt.Fprintf(o.Out, "| %-30s | %5d |", q.name, len(took[0]))
		for _, t := range took {
			fmt.Fprintf(o.Out, " %12.2f ms | %12.2f ms |", ms(at50(t)), ms(at99(t)))
		}
		last := took[len(took)-1]
		fmt.Fprintf(o.Out, " %9.2f | %9.2f |\n", ms(at50(last))/ms(at50(took[0])), ms(at99(last))/ms(at99(took[0])))
	}
	return nil
}

// ask asks the databases in turns, so that what else the machine does falls upon all alike, and tells how long each took, sorted.
func (o Options) ask(ctx context.Context, q question, sets []*set) ([][]time.Duration, error) {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same questions in each run
	took := make([][]time.Duration, len(sets))
	runtime.GC() // of the question before
	start := time.Now()
	for i := range o.N + warmUp {
		late := time.Since(start) > slow
		if late && len(took[0]) >= least {
			break
		}
		for k := range sets {
			k = (k + i) % len(sets) // nobody is always the one after the other
			begin := time.Now()
			if err := q.ask(ctx, sets[k], r); err != nil {
				return nil, err
			}
			if i >= warmUp || late {
				took[k] = append(took[k], time.Since(begin))
			}
		}
	}
	for _, t := range took {
		slices.Sort(t)
	}
	return took, nil
}

func at50(sorted []time.Duration) time.Duration { return sorted[len(sorted)/2] }

func at99(sorted []time.Duration) time.Duration {
	return sorted[min(len(sorted)-1, len(sorted)*99/100)]
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

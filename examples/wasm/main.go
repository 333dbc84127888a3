// Adds up orders by customer. Orders below 0 are refused. Made for WebAssembly: see build.sh.
package main

import (
	"encoding/csv"
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func main() {
	f, err := os.Open("data/orders.csv")
	if err != nil {
		log.Fatal(err)
	}
	orders, err := csv.NewReader(f).ReadAll()
	if err != nil {
		log.Fatal(err)
	}
	totals, refused := map[string]int{}, 0
	for _, order := range orders[1:] {
		amount, err := strconv.Atoi(order[2])
		if err != nil {
			log.Fatal(err)
		}
		if amount < 0 {
			refused++
			continue
		}
		totals[order[1]] += amount
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(totals)) {
		fmt.Fprintf(&text, "%s,%d\n", name, totals[name])
	}
	if err := os.WriteFile(filepath.Join(os.Getenv("LOCAL_JOB_OUT_DIR"), "totals.csv"), []byte(text.String()), 0o644); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: totals of %d customers, %d order refused\n", os.Getenv("GREETING"), len(totals), refused)
}

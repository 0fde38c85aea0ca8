// Command queues measures one of Go's queues at one task and prints one line of JSON.
//
// One process makes one measurement: what the one before left in memory would slow the next, and
// layouts of memory that are luck, good or bad, are thrown anew each time. The tasks are those of
// ../tasks.py, step for step.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"
)

// options are what a measurement is told, as in ../tasks.py.
type options struct {
	queue     string
	measured  bool
	task      string
	keys      int
	rounds    int
	consumers int
	seconds   float64
}

// figures are what a measurement says: nanoseconds for each key, or what the task is about.
type figures map[string]float64

func main() {
	var asked options
	flag.StringVar(&asked.queue, "queue", "plain", "plain, delaying, ratelimiting or priority")
	flag.BoolVar(&asked.measured, "measured", false, "with controller-runtime's metrics")
	flag.StringVar(&asked.task, "task", "alone", "alone, beside, mixed, crowd, delayed or idle")
	flag.IntVar(&asked.keys, "keys", 1000, "how many keys are in the queue at once")
	flag.IntVar(&asked.rounds, "rounds", 1, "how often it is filled and emptied")
	flag.IntVar(&asked.consumers, "consumers", 1, "crowd and idle: how many wait for keys")
	flag.Float64Var(&asked.seconds, "seconds", 1, "delayed: the shortest delay; idle: how long to look on")
	version := flag.Bool("version", false, "print Go's version and end")
	flag.Parse()
	if *version {
		fmt.Println(runtime.Version())
		return
	}
	task, ok := tasks[asked.task]
	if !ok || !known(asked.queue) {
		fmt.Fprintf(os.Stderr, "error: no task %q or no queue %q\n", asked.task, asked.queue)
		os.Exit(2)
	}
	if err := json.NewEncoder(os.Stdout).Encode(task(asked)); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// key is what controllers put into queues: types.NamespacedName by another name.
type key struct {
	Namespace, Name string
}

// makeKeys returns the keys of ../tasks.py: each has texts of its own, as if it came from the network.
func makeKeys(number int) []key {
	keys := make([]key, number)
	for i := range keys {
		keys[i] = key{fmt.Sprintf("namespace-%d", i%100), fmt.Sprintf("pod-%d", i)}
	}
	return keys
}

// delays are those of ../tasks.py: the shortest, and half a microsecond more for each key, in an order
// that has nothing to do with that of the keys.
func delays(number int, shortest float64) []time.Duration {
	all := make([]time.Duration, number)
	at := 0
	for i := range all {
		at = (at + 7_368_787) % number // a prime: each place comes up once
		all[i] = time.Duration(shortest*1e9) + time.Duration(at)*500*time.Nanosecond
	}
	return all
}

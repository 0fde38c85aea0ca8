package main

import (
	"syscall"
	"time"
)

// stopwatch adds up the time, and the CPU of the whole process, between start and stop.
type stopwatch struct {
	wall, cpu  time.Duration
	began      time.Time
	beganAtCPU time.Duration
}

func (w *stopwatch) start() {
	w.beganAtCPU = cpu()
	w.began = time.Now()
}

func (w *stopwatch) stop() {
	w.wall += time.Since(w.began)
	w.cpu += cpu() - w.beganAtCPU
}

// perKey is what each key took, in nanoseconds.
func (w *stopwatch) perKey(asked options) figures {
	keys := float64(asked.keys * asked.rounds)
	return figures{"wall": float64(w.wall) / keys, "cpu": float64(w.cpu) / keys}
}

func usage() syscall.Rusage {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // getrusage of oneself does not fail
	}
	return usage
}

func cpu() time.Duration {
	used := usage()
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// switches is how often the threads of this process went to sleep within so many seconds.
func switches(seconds float64) float64 {
	before := usage().Nvcsw
	time.Sleep(time.Duration(seconds * 1e9))
	return float64(usage().Nvcsw - before)
}

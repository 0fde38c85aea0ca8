package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// moment is what the process has used so far: seconds of the machine's clock, seconds of CPU, bytes of memory.
type moment struct {
	Now float64 `json:"now"`
	CPU float64 `json:"cpu"`
	RSS float64 `json:"rss"`
}

func now() float64 {
	var spec unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &spec); err != nil { // Python's time.monotonic
		panic(err)
	}
	return float64(spec.Nano()) / 1e9
}

func look() moment {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err) // of oneself it does not fail
	}
	return moment{Now: now(), CPU: float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9, RSS: resident()}
}

func resident() float64 {
	var size, pages int64
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		return 0
	}
	return float64(pages * int64(os.Getpagesize()))
}

// probe counts what comes, and tells when all is there.
type probe struct {
	objects, events int64
	hasSynced       func() bool
	whenSynced      func()
	once            sync.Once
	began           moment
	seen            atomic.Int64
	live            atomic.Bool
	counted         atomic.Int64
}

var telling sync.Mutex

// tell prints a line.
func tell(at string, what map[string]any) {
	what["at"] = at
	telling.Lock()
	defer telling.Unlock()
	if err := json.NewEncoder(os.Stdout).Encode(what); err != nil {
		panic(err)
	}
}

func (m moment) told(at string) {
	tell(at, map[string]any{"now": m.Now, "cpu": m.CPU, "rss": m.RSS})
}

// asks: the first request for pods is about to be sent.
func (p *probe) asks() {
	p.once.Do(func() { p.began = look() })
}

// added: a pod that existed has come.
func (p *probe) added() {
	if p.seen.Add(1) == p.objects {
		go func() {
			for !p.hasSynced() {
				time.Sleep(200 * time.Microsecond)
			}
			synced := look()
			p.began.told("asked")
			synced.told("synced")
			p.whenSynced()
		}()
	}
}

// mark begins to count changes.
func (p *probe) mark() {
	p.live.Store(true)
	look().told("marked")
}

// changed: a pod has changed.
func (p *probe) changed() {
	if p.live.Load() && p.counted.Add(1) == p.events {
		look().told("done")
	}
}

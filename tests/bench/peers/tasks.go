package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
)

var tasks = map[string]func(options) figures{
	"alone":   alone,
	"beside":  beside,
	"mixed":   mixed,
	"crowd":   crowd,
	"delayed": delayed,
	"idle":    idle,
}

// pause is how long consumers get to fall asleep before each round.
const pause = 2 * time.Millisecond

// waiting is how many keys wait all the time, beside.
const waiting = 1000

// alone: one goroutine adds all keys, then gets, forgets and finishes them.
func alone(asked options) figures {
	return fillAndDrain(asked, newQueue(asked.queue, asked.measured))
}

// beside is alone, while other keys, which are put off for an hour, wait in the queue.
func beside(asked options) figures {
	q := newQueue(asked.queue, asked.measured).(workqueue.TypedDelayingInterface[key])
	for i := range waiting {
		q.AddAfter(key{"waiting", fmt.Sprintf("pod-%d", i)}, time.Hour+time.Duration(i)*time.Second)
	}
	return fillAndDrain(asked, q)
}

func fillAndDrain(asked options, q queue) figures {
	keys := makeKeys(asked.keys)
	defer q.ShutDown()
	runtime.GC()
	var watch stopwatch
	watch.start()
	for range asked.rounds {
		for _, each := range keys {
			q.Add(each)
		}
		drain(q, len(keys))
	}
	watch.stop()
	return watch.perKey(asked)
}

// mixed is alone, with ten priorities in turn.
func mixed(asked options) figures {
	keys := makeKeys(asked.keys)
	priorities := make([]int, 10)
	for i := range priorities {
		priorities[i] = i
	}
	q := newQueue(asked.queue, asked.measured).(priorityqueue.PriorityQueue[key])
	defer q.ShutDown()
	runtime.GC()
	var watch stopwatch
	watch.start()
	for range asked.rounds {
		for i, each := range keys {
			q.AddWithOpts(priorityqueue.AddOpts{Priority: &priorities[i%10]}, each)
		}
		drain(q, len(keys))
	}
	watch.stop()
	return watch.perKey(asked)
}

// crowd: consumers are asleep, one goroutine adds all keys, and the clock stops when the last is done.
func crowd(asked options) figures {
	keys := makeKeys(asked.keys)
	q := newQueue(asked.queue, asked.measured)
	var number atomic.Int64
	last := int64(len(keys))
	finished := make(chan struct{})
	handled := func() {
		if number.Add(1)%last == 0 {
			finished <- struct{}{}
		}
	}
	var consumers sync.WaitGroup
	for range asked.consumers {
		consumers.Go(func() { consume(q, handled) })
	}
	runtime.GC()
	var watch stopwatch
	for range asked.rounds {
		time.Sleep(pause)
		watch.start()
		for _, each := range keys {
			q.Add(each)
		}
		<-finished
		watch.stop()
	}
	q.ShutDown()
	consumers.Wait()
	return watch.perKey(asked)
}

// delayed: one goroutine puts all keys off, and then gets and finishes them as they come due. Most of the time is
// waiting, so only the process's CPU means something, that of the queue's own goroutines included.
func delayed(asked options) figures {
	keys, after := makeKeys(asked.keys), delays(asked.keys, asked.seconds)
	q := newQueue(asked.queue, asked.measured).(workqueue.TypedDelayingInterface[key])
	defer q.ShutDown()
	runtime.GC()
	var watch stopwatch
	latest := 0.0
	for range asked.rounds {
		watch.start()
		begin := time.Now()
		for i, each := range keys {
			q.AddAfter(each, after[i])
		}
		latest = max(latest, time.Since(begin).Seconds())
		drain(q, len(keys))
		watch.stop()
	}
	said := watch.perKey(asked)
	delete(said, "wall")
	said["adding"] = latest
	return said
}

// idle: keys that are put off for an hour, consumers that wait for them, and how often the process is woken
// meanwhile, compared with what the same process does without a queue.
func idle(asked options) figures {
	without := switches(asked.seconds)
	q := newQueue(asked.queue, asked.measured).(workqueue.TypedDelayingInterface[key])
	for _, each := range makeKeys(asked.keys) {
		q.AddAfter(each, time.Hour)
	}
	var consumers sync.WaitGroup
	for range asked.consumers {
		consumers.Go(func() { consume(q, func() {}) })
	}
	time.Sleep(500 * time.Millisecond)
	runtime.GC()
	time.Sleep(500 * time.Millisecond)
	with := switches(asked.seconds)
	q.ShutDown()
	consumers.Wait()
	return figures{"switches": with, "without": without}
}

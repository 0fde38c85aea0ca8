package main

import (
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
)

// queue is what all have.
type queue = workqueue.TypedInterface[key]

var names = []string{"plain", "delaying", "ratelimiting", "priority"}

func known(name string) bool {
	for _, each := range names {
		if each == name {
			return true
		}
	}
	return false
}

// newQueue makes a queue. One with a name is measured by controller-runtime's provider for Prometheus: its import
// makes it the provider of client-go's queues, too, which is how most operators run.
func newQueue(kind string, measured bool) queue {
	name := ""
	if measured {
		name = "bench"
	}
	switch kind {
	case "plain":
		return workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[key]{Name: name})
	case "delaying":
		return workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[key]{Name: name})
	case "ratelimiting":
		return workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.DefaultTypedControllerRateLimiter[key](),
			workqueue.TypedRateLimitingQueueConfig[key]{Name: name},
		)
	default:
		return priorityqueue.New[key](name)
	}
}

// forgetter returns the queue's Forget, or nil for a queue without.
func forgetter(q queue) func(key) {
	if limited, ok := q.(workqueue.TypedRateLimitingInterface[key]); ok {
		return limited.Forget
	}
	return nil
}

// drain gets, forgets and finishes so many keys.
func drain(q queue, number int) {
	forget := forgetter(q)
	for range number {
		item, _ := q.Get()
		if forget != nil {
			forget(item)
		}
		q.Done(item)
	}
}

// consume handles keys until the queue is shut down; it says handled() after each.
func consume(q queue, handled func()) {
	forget := forgetter(q)
	for {
		item, shutdown := q.Get()
		if shutdown {
			return
		}
		if forget != nil {
			forget(item)
		}
		q.Done(item)
		handled()
	}
}

package referee

import (
	"fmt"
	"sync"
	"testing/synctest"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
)

// A driver applies operations to one queue, or to a limiter alone. It lives in a bubble and ends with nothing running.
//
// What may block, Get and ShutDownWithDrain, runs on a goroutine of its own and is told of in the answer to the
// operation during which it returns: at once, or much later.
type driver struct {
	script  script
	begun   time.Time
	limiter workqueue.TypedRateLimiter[string]
	queue   workqueue.TypedInterface[string] // nil where only the limiter is asked
	inner   workqueue.TypedInterface[string] // client-go's plain queue in it; nil in controller-runtime's

	lock     sync.Mutex // guards all below
	stepping bool
	got      []delivery
	drained  int
	tied     []tie
}

// run applies all operations of a script.
func run(given script) []answer {
	d := newDriver(given)
	defer d.end()
	answers := make([]answer, 0, len(given.Operations))
	for _, each := range given.Operations {
		result := d.apply(each)
		synctest.Wait()
		answers = append(answers, d.answer(result))
	}
	return answers
}

func newDriver(given script) *driver {
	d := &driver{script: given, begun: time.Now(), limiter: given.Limiter.limiter(given.Unit)}
	if given.Queue == "limiter" {
		return d
	}
	if given.Queue == "priority" {
		d.queue = priorityqueue.New("", func(o *priorityqueue.Opts[string]) { o.RateLimiter = d.limiter })
		return d
	}
	// Put together from its layers, as the constructors without configuration do it, to hear of ties in between and
	// to free drainers at the end.
	d.inner = workqueue.NewTyped[string]()
	d.queue = d.inner
	if given.Queue == "plain" {
		return d
	}
	heard := &listener{TypedInterface: d.inner, driver: d}
	delaying := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[string]{Queue: heard})
	d.queue = delaying
	if given.Queue == "ratelimiting" {
		config := workqueue.TypedRateLimitingQueueConfig[string]{DelayingQueue: delaying}
		d.queue = workqueue.NewTypedRateLimitingQueueWithConfig(d.limiter, config)
	}
	return d
}

// A listener notes the order in which client-go's delaying loop adds keys whose time has come: nobody else adds any
// while time passes.
type listener struct {
	workqueue.TypedInterface[string]
	driver *driver
}

func (l *listener) Add(key string) {
	l.driver.due(key)
	l.TypedInterface.Add(key)
}

func (d *driver) due(key string) {
	d.lock.Lock()
	defer d.lock.Unlock()
	if !d.stepping {
		return
	}
	now := time.Since(d.begun).Nanoseconds()
	if n := len(d.tied); n == 0 || d.tied[n-1].At != now {
		d.tied = append(d.tied, tie{At: now})
	}
	last := &d.tied[len(d.tied)-1]
	last.Keys = append(last.Keys, key)
}

func (d *driver) apply(o operation) any {
	units := time.Duration(o.Units) * d.script.Unit
	switch o.Name {
	case "add":
		d.queue.Add(o.Keys[0])
	case "add_after":
		d.queue.(workqueue.TypedDelayingInterface[string]).AddAfter(o.Keys[0], units)
	case "add_rate_limited":
		d.queue.(workqueue.TypedRateLimitingInterface[string]).AddRateLimited(o.Keys[0])
	case "add_with":
		after := time.Duration(o.After) * d.script.Unit
		opts := priorityqueue.AddOpts{After: after, RateLimited: o.RateLimited, Priority: o.Priority}
		d.queue.(priorityqueue.PriorityQueue[string]).AddWithOpts(opts, o.Keys...)
	case "get", "get_with_priority":
		go d.get()
	case "done":
		d.queue.Done(o.Keys[0])
	case "len":
		return d.queue.Len()
	case "shutting_down":
		return d.queue.ShuttingDown()
	case "shut_down", "shut_down_with_drain":
		if d.inner == nil && d.queue.ShuttingDown() {
			return "would panic"
		}
		if o.Name == "shut_down" {
			d.queue.ShutDown()
		} else {
			go d.drain()
		}
	case "forget":
		d.retries().Forget(o.Keys[0])
	case "num_requeues":
		return d.retries().NumRequeues(o.Keys[0])
	case "when":
		return d.limiter.When(o.Keys[0]).Nanoseconds()
	case "step":
		d.step(units)
	default:
		panic(fmt.Sprintf("no operation is named %q", o.Name))
	}
	return nil
}

// retries is what counts the failures: the queue, or the limiter where there is only that.
func (d *driver) retries() interface {
	Forget(string)
	NumRequeues(string) int
} {
	if d.queue == nil {
		return d.limiter
	}
	return d.queue.(workqueue.TypedRateLimitingInterface[string])
}

func (d *driver) get() {
	var told delivery
	if priority, ok := d.queue.(priorityqueue.PriorityQueue[string]); ok {
		told.Key, told.Priority, told.Shutdown = priority.GetWithPriority() // Get is this without the priority
	} else {
		told.Key, told.Shutdown = d.queue.Get()
	}
	d.lock.Lock()
	defer d.lock.Unlock()
	told.At = time.Since(d.begun).Nanoseconds()
	d.got = append(d.got, told)
}

func (d *driver) drain() {
	d.queue.ShutDownWithDrain()
	d.lock.Lock()
	defer d.lock.Unlock()
	d.drained++
}

func (d *driver) step(by time.Duration) {
	d.setStepping(true)
	time.Sleep(by)
	synctest.Wait()
	d.setStepping(false)
}

func (d *driver) setStepping(stepping bool) {
	d.lock.Lock()
	defer d.lock.Unlock()
	d.stepping = stepping
}

// answer collects what happened since the last one.
func (d *driver) answer(result any) answer {
	told := answer{Result: result}
	if d.queue != nil {
		told.Length = d.queue.Len()
	}
	d.lock.Lock()
	defer d.lock.Unlock()
	told.Got, told.Drained = d.got, d.drained
	for _, each := range d.tied {
		if len(each.Keys) > 1 {
			told.Tied = append(told.Tied, each)
		}
	}
	d.got, d.drained, d.tied = nil, 0, nil
	return told
}

// end stops everything that runs: a bubble with a goroutine left in it is an error.
func (d *driver) end() {
	switch {
	case d.queue == nil:
	case d.inner != nil:
		d.queue.ShutDown()
		d.inner.ShutDown() // the delaying queue's second ShutDown does nothing, so that a drainer would stay
	case !d.queue.ShuttingDown():
		d.queue.ShutDown()
	}
}

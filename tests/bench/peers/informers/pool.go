package main

import (
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// pool takes keys from a queue, as controllers do, and pretends to work.
type pool struct {
	workers     int
	sleep, spin time.Duration
	queue       workqueue.TypedRateLimitingInterface[string]
	indexer     cache.Indexer
	mutex       sync.Mutex
	runs        [][2]float64 // guarded by mutex: when a key came into a worker's hands, and the version that it saw
	busy        float64      // guarded by mutex: seconds of work in all
}

func (p *pool) prepare(indexer cache.Indexer) {
	p.indexer = indexer
	p.queue = workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]())
}

// start is called once the cache is synced, as controllers do.
func (p *pool) start() {
	for range p.workers {
		go p.work()
	}
}

func (p *pool) add(object any) {
	if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil {
		p.queue.Add(key)
	}
}

func (p *pool) work() {
	for {
		key, shutdown := p.queue.Get()
		if shutdown {
			return
		}
		if p.sleep > 0 {
			p.reconcile(key)
		}
		p.queue.Forget(key)
		p.queue.Done(key)
	}
}

func (p *pool) reconcile(key string) {
	began := now()
	object, exists, err := p.indexer.GetByKey(key)
	if err != nil || !exists {
		return
	}
	version, err := strconv.ParseFloat(object.(*corev1.Pod).ResourceVersion, 64)
	if err != nil {
		return
	}
	time.Sleep(p.sleep)
	for until := time.Now().Add(p.spin); time.Now().Before(until); {
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.runs = append(p.runs, [2]float64{began, version})
	p.busy += now() - began
}

// forget drops all runs.
func (p *pool) forget() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.runs, p.busy = nil, 0
}

// tell prints all runs since they were forgotten.
func (p *pool) tell() {
	used := look()
	p.mutex.Lock()
	defer p.mutex.Unlock()
	tell("runs", map[string]any{"cpu": used.CPU, "runs": p.runs, "busy": p.busy})
}

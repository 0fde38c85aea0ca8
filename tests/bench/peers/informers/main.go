// Command informers is client-go's shared informer of pods, measured from inside: what ../../intake/probe.py is in Python.
//
// It lists and watches pods as the flags say, adds their keys to a work queue, and tells on stdout, in lines of JSON,
// when it is synced and what that took. It is then told what to do by lines on stdin.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// byNode is the index that is kept beside the one by namespace.
const byNode = "node"

func main() {
	wire := flag.String("wire", "json", "json or protobuf")
	objects := flag.Int64("objects", 1, "how many pods there are")
	events := flag.Int64("events", 0, "how many changes follow")
	workers := flag.Int("workers", 16, "how many take keys from the queue")
	sleep := flag.Float64("sleep", 0, "seconds of sleep for each key")
	spin := flag.Float64("spin", 0, "seconds of computing for each key")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err == nil {
		p := &probe{objects: *objects, events: *events}
		err = run(config, *wire, p, &pool{workers: *workers, sleep: seconds(*sleep), spin: seconds(*spin)})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func seconds(number float64) time.Duration {
	return time.Duration(number * float64(time.Second))
}

// run informs until stdin ends.
func run(config *rest.Config, wire string, p *probe, workers *pool) error {
	config.QPS = -1
	config.ContentType = "application/" + map[string]string{"json": "json", "protobuf": "vnd.kubernetes.protobuf"}[wire]
	config.AcceptContentTypes = config.ContentType
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &first{next, p} })
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	pods := informers.NewSharedInformerFactory(client, 0).Core().V1().Pods().Informer()
	err = pods.AddIndexers(cache.Indexers{byNode: func(object any) ([]string, error) {
		return []string{object.(*corev1.Pod).Spec.NodeName}, nil
	}})
	if err != nil {
		return err
	}
	workers.prepare(pods.GetIndexer())
	registration, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { workers.add(object); p.added() },
		UpdateFunc: func(_, object any) { workers.add(object); p.changed() },
		DeleteFunc: func(object any) { workers.add(object) },
	})
	if err != nil {
		return err
	}
	p.hasSynced, p.whenSynced = registration.HasSynced, workers.start
	stop := make(chan struct{})
	defer close(stop)
	go pods.Run(stop)
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		switch commands.Text() {
		case "mark":
			workers.forget()
			p.mark()
		case "runs":
			workers.tell()
		}
	}
	return commands.Err()
}

// first tells the probe when pods are asked for.
type first struct {
	next http.RoundTripper
	p    *probe
}

func (f *first) RoundTrip(request *http.Request) (*http.Response, error) {
	if strings.HasSuffix(request.URL.Path, "/pods") {
		f.p.asks()
	}
	return f.next.RoundTrip(request)
}

// Package referee runs scripts of operations on client-go's and controller-runtime's own queues and limiters.
//
// It is a test binary because only a test may open a bubble of testing/synctest: inside of one time stands still while
// anything can run, so that the queues that offer no clock (controller-runtime's, and the token bucket) have one.
// It reads one script a line, as JSON, and answers each with one line, until its input ends.
package referee

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// A script is a kind of queue, its limiter, and the operations in order. Durations are whole numbers of a unit.
type script struct {
	Queue      string
	Limiter    *limiterSpec
	Unit       time.Duration // in nanoseconds
	Operations []operation
}

// An operation is an array: its name, the keys, then a number of units, then options; all but the name may be absent.
type operation struct {
	Name  string
	Keys  []string
	Units int64
	options
}

type options struct {
	Priority    *int  `json:"priority"`
	After       int64 `json:"after"`
	RateLimited bool  `json:"rate_limited"`
}

func (o *operation) UnmarshalJSON(text []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	for i, part := range parts {
		var err error
		switch {
		case i == 0:
			err = json.Unmarshal(part, &o.Name)
		case part[0] == '"':
			o.Keys = append(o.Keys, "")
			err = json.Unmarshal(part, &o.Keys[len(o.Keys)-1])
		case part[0] == '{':
			err = json.Unmarshal(part, &o.options)
		default:
			err = json.Unmarshal(part, &o.Units)
		}
		if err != nil {
			return fmt.Errorf("operation %s: %w", text, err)
		}
	}
	return nil
}

// An answer is what one operation did: what it returned, and which calls that waited came back meanwhile.
type answer struct {
	Result  any        `json:"result"`
	Length  int        `json:"length"`
	Got     []delivery `json:"got"`
	Drained int        `json:"drained"`
	Tied    []tie      `json:"tied,omitempty"`
}

// A delivery is what a get returned, and when, in nanoseconds since the script began.
type delivery struct {
	Key      string `json:"key"`
	Priority int    `json:"priority"`
	Shutdown bool   `json:"shutdown"`
	At       int64  `json:"at"`
}

// A tie is a group of keys that came due at one instant, in the order in which client-go queued them.
type tie struct {
	At   int64    `json:"at"`
	Keys []string `json:"keys"`
}

func TestReferee(t *testing.T) {
	lines := bufio.NewReader(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var given script
		if err := json.Unmarshal(line, &given); err != nil {
			t.Fatalf("no script: %v", err)
		}
		var told []answer
		synctest.Test(t, func(*testing.T) { told = run(given) })
		if err := answers.Encode(told); err != nil {
			t.Fatal(err)
		}
	}
}

package referee

import (
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/client-go/util/workqueue"
)

// A limiterSpec is an array: the name of a limiter, then its arguments. Delays are whole numbers of a unit.
type limiterSpec struct {
	name      string
	arguments []json.RawMessage
}

func (s *limiterSpec) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &s.arguments); err != nil {
		return err
	}
	if len(s.arguments) == 0 {
		return fmt.Errorf("limiter %s has no name", text)
	}
	err := json.Unmarshal(s.arguments[0], &s.name)
	s.arguments = s.arguments[1:]
	return err
}

// argument reads one argument; a script that lacks it is a mistake of the tests.
func argument[T any](s *limiterSpec, i int) T {
	var value T
	if err := json.Unmarshal(s.arguments[i], &value); err != nil {
		panic(fmt.Sprintf("limiter %s, argument %d: %v", s.name, i, err))
	}
	return value
}

// limiter makes the limiter; nil for none.
func (s *limiterSpec) limiter(unit time.Duration) workqueue.TypedRateLimiter[string] {
	if s == nil {
		return nil
	}
	units := func(i int) time.Duration { return time.Duration(argument[int64](s, i)) * unit }
	switch s.name {
	case "exponential":
		return workqueue.NewTypedItemExponentialFailureRateLimiter[string](units(0), units(1))
	case "fast_slow":
		return workqueue.NewTypedItemFastSlowRateLimiter[string](units(0), units(1), argument[int](s, 2))
	case "bucket":
		limit, burst := rate.Limit(argument[float64](s, 0)), argument[int](s, 1)
		return &workqueue.TypedBucketRateLimiter[string]{Limiter: rate.NewLimiter(limit, burst)}
	case "max_of":
		var limiters []workqueue.TypedRateLimiter[string]
		for i := range s.arguments {
			limiters = append(limiters, argument[*limiterSpec](s, i).limiter(unit))
		}
		return workqueue.NewTypedMaxOfRateLimiter(limiters...)
	case "max_wait":
		return workqueue.NewTypedWithMaxWaitRateLimiter(argument[*limiterSpec](s, 0).limiter(unit), units(1))
	case "default_controller":
		return workqueue.DefaultTypedControllerRateLimiter[string]()
	case "default_item":
		return workqueue.DefaultTypedItemBasedRateLimiter[string]()
	}
	panic("no limiter is named " + s.name)
}

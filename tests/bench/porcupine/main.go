// Porcupine itself on its own histories, for the side-by-side of run_porcupine: a line a file with
// its verdict, and the minimum and median of the runs in microseconds, parsing excluded.
//
//	porcupine register|kv|kv-whole FILE...     kv-whole: without partitions
//
// RUNS sets the number of runs (11), LIMIT the seconds for one check (60).
package main

import (
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

type input struct {
	function string
	key      string
	a, b     string
}

type output struct {
	unknown bool
	ok      bool
	value   string
}

var register = porcupine.Model{
	Init: func() interface{} { return "nil" },
	Step: func(state, in, out interface{}) (bool, interface{}) {
		st, i, o := state.(string), in.(input), out.(output)
		switch i.function {
		case "read":
			return o.unknown || o.value == st, st
		case "write":
			return true, i.a
		}
		next := st
		if i.a == st {
			next = i.b
		}
		return o.unknown || o.ok == (i.a == st), next
	},
}

var kv = porcupine.Model{
	PartitionEvent: func(history []porcupine.Event) [][]porcupine.Event {
		parts := map[string][]porcupine.Event{}
		keys := map[int]string{}
		for _, event := range history {
			if event.Kind == porcupine.CallEvent {
				keys[event.Id] = event.Value.(input).key
			}
			parts[keys[event.Id]] = append(parts[keys[event.Id]], event)
		}
		var all [][]porcupine.Event
		for _, part := range parts {
			all = append(all, part)
		}
		return all
	},
	Init: func() interface{} { return "" },
	Step: func(state, in, out interface{}) (bool, interface{}) {
		st, i, o := state.(string), in.(input), out.(output)
		switch i.function {
		case "get":
			return o.unknown || o.value == st, st
		case "put":
			return true, i.a
		}
		return true, st + i.a
	},
	Hash: func(state interface{}) uint64 {
		hash := fnv.New64a()
		hash.Write([]byte(state.(string)))
		return hash.Sum64()
	},
}

// The same map as one object: the state is every key with its value.
var kvWhole = porcupine.Model{
	Init: func() interface{} { return map[string]string{} },
	Step: func(state, in, out interface{}) (bool, interface{}) {
		st, i, o := state.(map[string]string), in.(input), out.(output)
		if i.function == "get" {
			return o.unknown || o.value == st[i.key], st
		}
		next := map[string]string{}
		for key, value := range st {
			next[key] = value
		}
		if i.function == "put" {
			next[i.key] = i.a
		} else {
			next[i.key] += i.a
		}
		return true, next
	},
	Equal: func(a, b interface{}) bool {
		one, other := a.(map[string]string), b.(map[string]string)
		if len(one) != len(other) {
			return false
		}
		for key, value := range one {
			if found, ok := other[key]; !ok || found != value {
				return false
			}
		}
		return true
	},
	Hash: func(state interface{}) uint64 {
		sum := uint64(0)
		for key, value := range state.(map[string]string) {
			hash := fnv.New64a()
			hash.Write([]byte(key + "=" + value))
			sum += hash.Sum64()
		}
		return sum
	},
}

var (
	logLine = regexp.MustCompile(`(\d+)\s+:(invoke|ok|fail|info)\s+:(read|write|cas)\s+(.*)$`)
	mapLine = regexp.MustCompile(`{:process (\d+), :type :(invoke|ok|fail|info), :f :(get|put|append), :key "(.*)", :value (nil|"(.*)")}`)
)

func parse(path string) []porcupine.Event {
	text, err := os.ReadFile(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(4)
	}
	var events []porcupine.Event
	open := map[int]int{}
	functions := map[int]string{}
	next := 0
	call := func(process int, in input) {
		events = append(events, porcupine.Event{ClientId: process, Kind: porcupine.CallEvent, Value: in, Id: next})
		open[process], functions[next] = next, in.function
		next++
	}
	ret := func(process int, out output) {
		id := open[process]
		delete(open, process)
		events = append(events, porcupine.Event{ClientId: process, Kind: porcupine.ReturnEvent, Value: out, Id: id})
	}
	for _, line := range strings.Split(string(text), "\n") {
		if m := mapLine.FindStringSubmatch(line); m != nil {
			process, _ := strconv.Atoi(m[1])
			if m[2] == "invoke" {
				call(process, input{function: m[3], key: m[4], a: m[6]})
			} else if m[2] == "ok" {
				ret(process, output{value: m[6]})
			}
			continue
		}
		m := logLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		process, _ := strconv.Atoi(m[1])
		words := strings.Fields(strings.Trim(m[4], "[]"))
		switch {
		case m[2] == "invoke" && m[3] == "cas":
			call(process, input{function: "cas", a: words[0], b: words[1]})
		case m[2] == "invoke":
			call(process, input{function: m[3], a: words[0]})
		case m[2] == "fail" && m[3] == "read":
			ret(process, output{unknown: true})
		case m[2] == "ok" || m[2] == "fail":
			ret(process, output{ok: m[2] == "ok", value: words[0]})
		}
	}
	var rest []int
	for process := range open {
		rest = append(rest, process)
	}
	sort.Ints(rest)
	for _, process := range rest {
		ret(process, output{unknown: true})
	}
	return events
}

func number(name string, otherwise int) int {
	if value, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return value
	}
	return otherwise
}

func main() {
	models := map[string]porcupine.Model{"register": register, "kv": kv, "kv-whole": kvWhole}
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: porcupine register|kv|kv-whole FILE...")
		os.Exit(64)
	}
	model := models[os.Args[1]]
	limit := time.Duration(number("LIMIT", 60)) * time.Second
	least, median := 0.0, 0.0
	for _, path := range os.Args[2:] {
		events := parse(path)
		var times []float64
		var result porcupine.CheckResult
		for i := 0; i < number("RUNS", 11); i++ {
			begin := time.Now()
			result = porcupine.CheckEventsTimeout(model, events, limit)
			times = append(times, float64(time.Since(begin).Nanoseconds())/1000)
		}
		sort.Float64s(times)
		least += times[0]
		median += times[len(times)/2]
		fmt.Printf("%s %s %.1f %.1f\n", filepath.Base(path), result, times[0], times[len(times)/2])
	}
	fmt.Fprintf(os.Stderr, "%d files of %s: %.1f us least, %.1f us median in all\n", len(os.Args)-2, os.Args[1], least, median)
}

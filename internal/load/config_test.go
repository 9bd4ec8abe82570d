package load_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/internal/load"
	"github.com/sluicegate/sluice/internal/load/server"
)

func TestConfigErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	const url = "ws://127.0.0.1:1/"
	for want, cfg := range map[string]load.Config{
		`Config.Scenario is "nap"; use one of [hold storm`: {Scenario: "nap"},
		"Config.Clients is -1; use 0":                      {Scenario: "hold", Clients: -1},
		"Config.Rate is NaN":                               {Scenario: "echo", Rate: math.NaN()},
		"a run takes 1h0m0s at most":                       {Scenario: "hold", For: 2 * time.Hour},
		"a message has 33 to":                              {Scenario: "echo", Bytes: 10},
		"it is a share, below 1":                           {Scenario: "slow", Stalled: 1},
		"use smaller groups":                               {Scenario: "groups", Groups: 1, GroupSize: 5000},
		"leave it out":                                     {Scenario: "groups", Clients: 7},
		`has a part "sleep"`:                               {Scenario: "mixed", Mix: "echo=1,sleep=2"},
		`gives echo the weight "much"`:                     {Scenario: "mixed", Mix: "echo=much"},
		"in which nothing has a weight":                    {Scenario: "mixed", Mix: "echo=0"},
		"raise the hard limit":                             {Scenario: "hold", Clients: 100_000_000},
		"go with Config.URL":                               {Scenario: "hold", Task: "127.0.0.1:2"},
		"Config.PID goes with Config.URL":                  {Scenario: "hold", PID: 1},
		"Config.Secret goes with Config.Task":              {Scenario: "hold", URL: url, Secret: "known to both ends"},
		"set without Config.Task":                          {Scenario: "hold", URL: url, Worker: "127.0.0.1:2"},
		"exclude each other":                               {Scenario: "hold", URL: url, Inside: true},
		"Config.Pin is for a gateway that is started":      {Scenario: "hold", Inside: true, Pin: true},
		"Config.GC, Config.Procs and Config.Profile are":   {Scenario: "hold", Inside: true, GC: 50},
		"Config.Profile are for a gateway":                 {Scenario: "hold", URL: url, Profile: "there"},
		"set Config.Task to":                               {Scenario: "broadcast", URL: url},
		"needs the run's own handler":                      {Scenario: "unicast", URL: url, Task: "127.0.0.1:2"},
		"must begin with ws://":                            {Scenario: "hold", URL: "http://127.0.0.1"},
		"has no host":                                      {Scenario: "hold", URL: "ws:///x"},
		"connection refused":                               {Scenario: "hold", URL: url},
		`Config.Via is "mail"`:                             {Scenario: "hold", Inside: true, Server: via("mail")},
		`Config.Handler is "nobody"`:                       {Scenario: "hold", Inside: true, Server: handler("nobody")},
	} {
		if _, err := load.Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: the error is %v, want one with %q", cfg, err, want)
		}
	}
}

func via(s string) server.Config     { return server.Config{Via: s} }
func handler(s string) server.Config { return server.Config{Handler: s} }

// A mixed run follows one sender for each client, however large its groups are.
func TestMixedGroupsMayBeLarge(t *testing.T) {
	t.Parallel()
	cfg := load.Config{Scenario: "mixed", Clients: 10, GroupSize: 1100, URL: "ws://127.0.0.1:1/"}
	if _, err := load.Run(t.Context(), cfg); err == nil || strings.Contains(err.Error(), "smaller groups") {
		t.Errorf("the error is %v, want only that there is no gateway", err)
	}
}

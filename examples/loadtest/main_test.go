package main

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/internal/load"
)

func TestRunWritesTableJSONAndPage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, page := filepath.Join(dir, "result.json"), filepath.Join(dir, "result.html")
	var out, progress strings.Builder
	args := []string{"-inside", "-n", "5", "echo", "-for", "1100ms", "-settle", "1ms", "-json", file, "-html", page}
	if err := run(t.Context(), args, nil, &out, &progress); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "echo") || !strings.Contains(out.String(), "round trips/s") {
		t.Errorf("the table is\n%s", out.String())
	}
	if !strings.Contains(progress.String(), "/s  p50 ") {
		t.Errorf("the progress is\n%s", progress.String())
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r load.Result
	if err := json.Unmarshal(b, &r); err != nil || r.Scenario != "echo" || r.Clients != 5 || r.Operations == 0 {
		t.Errorf("the result is %+v, %v", r, err)
	}
	if b, err := os.ReadFile(page); err != nil || !strings.Contains(string(b), "<svg") {
		t.Errorf("the page is %q, %v", b, err)
	}
}

func TestJSONTakesThePlaceOfTheTable(t *testing.T) {
	t.Parallel()
	var out, progress strings.Builder
	args := []string{"hold", "-inside", "-n", "3", "-for", "20ms", "-settle", "1ms", "-quiet", "-json", "-"}
	if err := run(t.Context(), args, nil, &out, &progress); err != nil {
		t.Fatal(err)
	}
	var r load.Result
	if err := json.Unmarshal([]byte(out.String()), &r); err != nil || r.Clients != 3 {
		t.Errorf("%v in %s", err, out.String())
	}
	if progress.Len() > 0 {
		t.Errorf("with -quiet there is %q", progress.String())
	}
}

func TestSecretIsReadFromItsFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("known to both ends\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := parse([]string{"broadcast", "-secret", file}, io.Discard)
	if err != nil || o.load.Secret != "known to both ends" {
		t.Errorf("the secret is %q, %v", o.load.Secret, err)
	}
}

func TestFlagErrors(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":                       "which scenario?",
		"nap":                    `no scenario "nap"`,
		"echo broadcast":         `unexpected argument "broadcast"`,
		"echo -stalled 0.5":      "-stalled means nothing to scenario echo; it is for slow",
		"hold -parallel -2":      "Parallel is -2",
		"-inflight 3 storm":      "-inflight means nothing to scenario storm; it is for broadcast, unicast",
		"echo -n many":           "invalid value",
		"echo -sleep":            "not defined",
		"hold -n -4":             "Clients is -4",
		"hold -task 127.0.0.1:1": "Config.URL",
		"hold -secret none":      "-secret: open none",
		"serve -via":             "needs an argument",
		"serve -via mail":        `Via is "mail"`,
	} {
		var out, errs strings.Builder
		err := run(t.Context(), strings.Fields(args), nil, &out, &errs)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("loadtest %s: the error is %v, want one with %q", args, err, want)
		}
	}
}

func TestHelpNamesEveryScenarioAndFlag(t *testing.T) {
	t.Parallel()
	var help strings.Builder
	if err := run(t.Context(), []string{"-h"}, nil, nil, &help); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for _, s := range load.Scenarios() {
		if !strings.Contains(help.String(), "  "+s.Name+" ") || !strings.Contains(help.String(), s.Summary) {
			t.Errorf("scenario %s is not in\n%s", s.Name, help.String())
		}
	}
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	new(options).define(flags)
	flags.VisitAll(func(f *flag.Flag) {
		if !regexp.MustCompile(` -` + f.Name + `[ :\n]`).MatchString(help.String()) {
			t.Errorf("-%s is not in\n%s", f.Name, help.String())
		}
	})
}

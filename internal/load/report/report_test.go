package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/internal/load"
)

func sample() *load.Result {
	const mb = 1 << 20
	r := &load.Result{
		Scenario: "broadcast", Target: "a gateway <of its own>", Clients: 1000, Took: 3100 * time.Millisecond,
		Operation: "delivery", Operations: 1_234_567,
		Counts: []load.Count{{Name: "sent", N: 1_234_570}, {Name: "lost", N: 3}},
		Latencies: []load.Latency{
			{Name: "delivery", Count: 1_234_567, P50: 850 * time.Microsecond, P90: 2 * time.Millisecond, P99: 12_340 * time.Microsecond, P999: 40 * time.Millisecond, Max: 1500 * time.Millisecond},
			{Name: "never"},
		},
		Server: &load.Server{User: time.Second, System: 500 * time.Millisecond, RSSBefore: 10 * mb, RSSIdle: 11 * mb, RSSPeak: 12 * mb, RSSAfter: 11 * mb},
		Notes:  []string{"something to know"},
	}
	for i, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 1} {
		r.Latencies[0].Quantiles = append(r.Latencies[0].Quantiles, load.Quantile{Q: q, Within: time.Duration(i*i) * time.Millisecond})
	}
	for i := range 4 {
		at := min(time.Duration(i+1)*time.Second, r.Took)
		r.Series = append(r.Series, load.Second{
			At: at, Operations: 400_000, P50: time.Millisecond, P90: 2 * time.Millisecond, P99: 12 * time.Millisecond, Max: 30 * time.Millisecond,
			User: 300 * time.Millisecond, System: 100 * time.Millisecond, RSS: 12 * mb,
		})
	}
	return r
}

func TestTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := Table(&b, sample()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"broadcast      1,000 clients, a gateway <of its own>\n",
		"rate           398,247 deliveries/s (1,234,567 in 3.10 s)\n",
		"server CPU     1.215 µs per delivery (user 1.00 s, system 500 ms)\n",
		"idle client    1.02 kB of the server's memory\n",
		"server memory  10.0 MB before, 11.0 MB with idle clients, 12.0 MB at most, 11.0 MB after\n",
		"lost           3\n",
		"delivery  850 µs  2.00 ms  12.3 ms  40.0 ms  1.50 s  1,234,567",
		"note: something to know\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "never") {
		t.Errorf("a latency of nothing is shown:\n%s", b.String())
	}
}

func TestTableOfWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	r := sample()
	r.Server = nil
	var b strings.Builder
	if err := Table(&b, r); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "server") {
		t.Errorf("a server is shown of which nothing is known:\n%s", b.String())
	}
}

func TestJSONIsReadBackAsItWas(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := JSON(&b, sample()); err != nil {
		t.Fatal(err)
	}
	var got load.Result
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if want := sample(); !reflect.DeepEqual(&got, want) {
		t.Errorf("read back as %+v, want %+v", got, want)
	}
}

func TestPageIsWholeAndNeedsNothingElse(t *testing.T) {
	t.Parallel()
	hold := sample()
	hold.Operation, hold.Operations = "", 0
	for name, c := range map[string]struct {
		result *load.Result
		plots  []string
	}{
		"all":       {sample(), []string{"Rate", "Latency over time", "Latency distribution", "Server CPU", "Server memory"}},
		"no server": {func() *load.Result { r := sample(); r.Server = nil; return r }(), []string{"Rate", "Latency over time", "Latency distribution"}},
		"idle":      {hold, []string{"Latency distribution", "Server CPU", "Server memory"}},
		"nothing":   {&load.Result{Scenario: "hold"}, nil},
	} {
		var b strings.Builder
		if err := HTML(&b, c.result); err != nil {
			t.Fatal(err)
		}
		page := b.String()
		var got []string
		for _, p := range plots(c.result) {
			got = append(got, p.Title)
		}
		if !reflect.DeepEqual(got, c.plots) || strings.Count(page, "<svg") != len(c.plots) {
			t.Errorf("%s: plots are %q, want %q", name, got, c.plots)
		}
		for _, bad := range []string{"<script", "http:", "https:", "url(", "NaN", "Inf", "<of its own>"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s: the page has %q", name, bad)
			}
		}
		for rest := page; strings.Contains(rest, "<svg"); {
			begin, end := strings.Index(rest, "<svg"), strings.Index(rest, "</svg>")+len("</svg>")
			d := xml.NewDecoder(strings.NewReader(rest[begin:end]))
			for {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("%s: a plot is not well-formed: %v", name, err)
				}
			}
			rest = rest[end:]
		}
	}
}

func TestStepsAtTheEndThatSayNothingAreNotDrawn(t *testing.T) {
	t.Parallel()
	r := sample() // its last step is a tenth of a second
	if n := strings.Count(plots(r)[0].Lines[0].Path, ","); n != 3 {
		t.Errorf("the rate is drawn at %d points, want 3", n)
	}
	r.Took = 1900 * time.Millisecond // nothing was done in the third step either
	if n := strings.Count(plots(r)[0].Lines[0].Path, ","); n != 2 {
		t.Errorf("the rate is drawn at %d points, want 2", n)
	}
	if len(r.Series) != 4 {
		t.Error("drawing has changed the result")
	}
}

func TestAxes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		high  float64
		end   float64
		ticks string
	}{
		{0, 1, "0 0.2 0.4 0.6 0.8 1"},
		{0.7, 0.8, "0 0.2 0.4 0.6 0.8"},
		{5, 5, "0 1 2 3 4 5"},
		{6, 6, "0 2 4 6"},
		{99, 100, "0 20 40 60 80 100"},
		{1_900_000, 2e6, "0 500k 1M 1.5M 2M"},
	} {
		a := newAxis(c.high, 0, 100, 5, short)
		var labels []string
		for _, tick := range a.ticks {
			labels = append(labels, tick.Label)
		}
		if got := strings.Join(labels, " "); got != c.ticks || a.high < c.end*(1-1e-9) || a.high > c.end*(1+1e-9) {
			t.Errorf("an axis to %v ends at %v with ticks %s, want %v and %s", c.high, a.high, got, c.end, c.ticks)
		}
	}
	a := ninesAxis(nines(0.9995), 0, 100)
	var labels []string
	for _, tick := range a.ticks {
		labels = append(labels, tick.Label)
	}
	if got := strings.Join(labels, " "); got != "0 90 99 99.9" {
		t.Errorf("nines are %s", got)
	}
}

func TestWordsOfFigures(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		duration(850 * time.Nanosecond): "0.85 µs", duration(99_960 * time.Microsecond): "100 ms", duration(75 * time.Second): "75.0 s",
		number(-1234567): "-1,234,567", number(999): "999", plural("delivery", "2"): "2 deliveries", plural("round trip", "3"): "3 round trips",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

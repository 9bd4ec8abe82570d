package report

import (
	"fmt"
	"slices"

	"github.com/sluicegate/sluice/compare/measure"
)

// A Table has a row for each workload and a cell in it for each server.
type Table struct {
	Servers []Server `json:"servers"` // the columns
	Rows    []Row    `json:"rows"`    // the workloads, then what follows from several
	// Notes say why cells are empty or incomplete. A cell refers to them by
	// number, from 1.
	Notes []string `json:"notes,omitempty"`
}

// A Server is the head of a column.
type Server struct {
	Name    string `json:"name"`              // Subject.Name
	Version string `json:"version,omitempty"` // of its library
}

// A Row is what the servers did with one workload.
type Row struct {
	Title string `json:"title"`          // of the workload
	Unit  string `json:"unit"`           // of the figures
	Cells []Cell `json:"cells"`          // one for each of Table.Servers
	Goal  *Goal  `json:"goal,omitempty"` // nil if there is none
}

// A Cell is one server's figure.
type Cell struct {
	Figure *Stat `json:"figure,omitempty"` // nil if there is none
	Ratio  *Stat `json:"ratio,omitempty"`  // to the floor's of the same round; nil if there is none
	Rate   *Stat `json:"rate,omitempty"`   // operations per second, of what goes by a business process
	P99    *Stat `json:"p99,omitempty"`    // seconds, likewise
	Note   int   `json:"note,omitempty"`   // 0 means none
}

// A Goal is what Sluice's figure of a row should be.
type Goal struct {
	Most     float64 `json:"most"`          // that meets it
	Absolute bool    `json:"absolute"`      // of the figure itself, else of its ratio to the floor's
	Got      *Stat   `json:"got,omitempty"` // nil if it was not measured
	Met      bool    `json:"met"`           // by the median
}

// builder finds figures by server and workload.
type builder struct {
	Table
	subjects []measure.Subject
	figures  map[key]series
	runs     map[key][]measure.Run
}

type key struct{ server, workload string }

// Build makes the table of runs.
func Build(subjects []measure.Subject, workloads []measure.Workload, runs []measure.Run) *Table {
	b := builder{subjects: subjects, figures: make(map[key]series), runs: make(map[key][]measure.Run)}
	figures := make(map[string]measure.Figure)
	for _, w := range workloads {
		figures[w.Name] = w.Figure
	}
	for _, r := range runs {
		k := key{r.Server, r.Workload}
		b.runs[k] = append(b.runs[k], r)
		if r.Failure != "" {
			continue
		}
		if v, ok := figures[r.Workload].Of(r.Result); ok {
			if b.figures[k] == nil {
				b.figures[k] = make(series)
			}
			b.figures[k][r.Round] = v
		}
	}
	for _, s := range subjects {
		b.Servers = append(b.Servers, Server{s.Name, s.Version})
	}
	for _, w := range workloads {
		b.Rows = append(b.Rows, b.row(w))
	}
	b.Rows = append(b.Rows, b.growth(workloads)...)
	return &b.Table
}

func (b *builder) row(w measure.Workload) Row {
	row := Row{Title: w.Title, Unit: w.Unit()}
	base := w.Base
	if base == "" {
		base = w.Name
	}
	floor := b.figures[key{measure.FloorName, base}]
	for _, s := range b.subjects {
		k := key{s.Name, w.Name}
		own := b.figures[k]
		c := Cell{Figure: own.stat(), Note: b.note(s, w)}
		if s.Name != measure.FloorName {
			c.Ratio = own.over(floor).stat()
		}
		if w.Remote && c.Figure != nil {
			c.Rate, c.P99 = b.speed(k)
		}
		row.Cells = append(row.Cells, c)
		if s.Name == measure.SluiceName {
			row.Goal = goal(w.Goal, w.Absolute, c)
		}
	}
	return row
}

func goal(most float64, absolute bool, c Cell) *Goal {
	if most == 0 {
		return nil
	}
	g := &Goal{Most: most, Absolute: absolute, Got: c.Ratio}
	if absolute {
		g.Got = c.Figure
	}
	g.Met = g.Got != nil && g.Got.Median <= most
	return g
}

func (b *builder) speed(k key) (rate, p99 *Stat) {
	var rates, p99s []float64
	for _, r := range b.runs[k] {
		if r.Failure != "" {
			continue
		}
		rates = append(rates, r.Result.Rate())
		if len(r.Result.Latencies) > 0 {
			p99s = append(p99s, r.Result.Latencies[0].P99.Seconds())
		}
	}
	return stat(rates), stat(p99s)
}

// growth compares the cost for the most clients with that for the fewest.
func (b *builder) growth(workloads []measure.Workload) []Row {
	type ends struct{ fewest, most measure.Workload }
	var order []int
	byInflight := make(map[int]ends)
	for _, w := range workloads {
		if w.Scenario != "broadcast" || w.Topics > 0 {
			continue
		}
		e, ok := byInflight[w.Inflight]
		if !ok {
			order = append(order, w.Inflight)
			e = ends{w, w}
		}
		if w.Clients < e.fewest.Clients {
			e.fewest = w
		}
		if w.Clients > e.most.Clients {
			e.most = w
		}
		byInflight[w.Inflight] = e
	}
	var rows []Row
	for _, inflight := range order {
		e := byInflight[inflight]
		if e.fewest.Clients == e.most.Clients {
			continue
		}
		rows = append(rows, b.growthRow(e.fewest, e.most))
	}
	return rows
}

func (b *builder) growthRow(fewest, most measure.Workload) Row {
	row := Row{
		Title: fmt.Sprintf("broadcast to %[2]s clients after %[1]s, %[3]d in flight",
			measure.Thousands(fewest.Clients), measure.Thousands(most.Clients), most.Inflight),
		Unit: "times the cost",
	}
	grown := func(server string) series {
		return b.figures[key{server, most.Name}].over(b.figures[key{server, fewest.Name}])
	}
	floor := grown(measure.FloorName)
	for _, s := range b.subjects {
		own := grown(s.Name)
		c := Cell{Figure: own.stat()}
		if s.Name != measure.FloorName {
			c.Ratio = own.over(floor).stat()
		}
		row.Cells = append(row.Cells, c)
		if s.Name == measure.SluiceName {
			row.Goal = goal(1, false, c)
		}
	}
	return row
}

// note returns the number of the note that the cell needs, or 0.
func (b *builder) note(s measure.Subject, w measure.Workload) int {
	switch why := s.Lacks(w); why {
	case "":
	case measure.OursOnly: // which the row shows
		return 0
	default:
		return b.number(fmt.Sprintf("%s: %s.", s.Name, why))
	}
	runs := b.runs[key{s.Name, w.Name}]
	failed, why := 0, ""
	for _, r := range runs {
		if r.Failure != "" {
			failed++
			why = r.Failure
		}
	}
	if failed == 0 {
		return 0
	}
	return b.number(fmt.Sprintf("%s, %s: %d of %d runs failed, the last so: %s.", s.Name, w.Title, failed, len(runs), why))
}

func (b *builder) number(note string) int {
	if i := slices.Index(b.Notes, note); i >= 0 {
		return i + 1
	}
	b.Notes = append(b.Notes, note)
	return len(b.Notes)
}

package deploy

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dashboard is what is checked of grafana.json.
type dashboard struct {
	SchemaVersion int `json:"schemaVersion"`
	Templating    struct {
		List []struct {
			Type, Name string
			Query      any
			Datasource datasource
		}
	}
	Panels []panel
}

type datasource struct{ Type, UID string }

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               datasource
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct{ RefID, Expr, LegendFormat string }
	Panels                   []panel
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile("grafana.json")
	must(t, err)
	var d dashboard
	must(t, json.Unmarshal(text, &d))
	if len(d.Panels) == 0 {
		t.Fatal("grafana.json has no panels")
	}
	return d
}

// placeholder is a label in a legend or a summary.
var placeholder = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}`)

func placeholders(text string) (labels []string) {
	for _, p := range placeholder.FindAllStringSubmatch(text, -1) {
		labels = append(labels, p[1])
	}
	return labels
}

func TestDashboardShowsWhatIsThere(t *testing.T) {
	offered := known(t)
	shown := make(map[string]bool)
	for _, p := range readDashboard(t).Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			fits(t, offered, target.Expr, placeholders(target.LegendFormat))
			for _, name := range names(target.Expr) {
				shown[base(name)] = true
			}
			for _, s := range selector.FindAllStringSubmatch(target.Expr, -1) {
				if !strings.HasPrefix(s[2], `job="$job", instance=~"$instance"`) {
					t.Errorf("%s of panel %q is not of the gateways that are chosen", s[0], p.Title)
				}
			}
			if got, want := len(selector.FindAllString(target.Expr, -1)), len(names(target.Expr)); got != want {
				t.Errorf("panel %q chooses gateways for %d of %d metrics in %s", p.Title, got, want, target.Expr)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(offered)) {
		if strings.HasPrefix(name, "sluice_") && !shown[base(name)] {
			t.Errorf("no panel shows %s", base(name))
		}
	}
}

// base returns the name of a histogram for those of its parts.
func base(name string) string {
	for _, part := range []string{"_bucket", "_count", "_sum"} {
		name = strings.TrimSuffix(name, part)
	}
	return name
}

func TestDashboardIsInOrder(t *testing.T) {
	d := readDashboard(t)
	if d.SchemaVersion < 42 {
		t.Errorf("schemaVersion is %d: panels would be migrated", d.SchemaVersion)
	}
	chosen := datasource{"prometheus", "${datasource}"}
	if v := d.Templating.List; len(v) == 0 || v[0].Type != "datasource" || v[0].Name != "datasource" || v[0].Query != "prometheus" {
		t.Errorf("the first variable must choose the data source: %+v", v)
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" && v.Datasource != chosen {
			t.Errorf("variable %s does not ask the data source that is chosen", v.Name)
		}
	}
	ids := make(map[int]string)
	for i, p := range d.Panels {
		if other, taken := ids[p.ID]; taken || p.ID <= 0 {
			t.Errorf("id %d of panel %q is not its own; %q has it too", p.ID, p.Title, other)
		}
		ids[p.ID] = p.Title
		if len(p.Panels) > 0 {
			t.Errorf("row %q has panels within it, which are checked by nothing here; leave rows open", p.Title)
		}
		if p.Title == "" || p.Type != "row" && (p.Description == "" || p.Datasource != chosen) {
			t.Errorf("panel %d (%q) needs a title, a description and the data source that is chosen", p.ID, p.Title)
		}
		refs := make(map[string]bool)
		for _, target := range p.Targets {
			if refs[target.RefID] || target.RefID == "" {
				t.Errorf("refId %q in panel %q is not its own", target.RefID, p.Title)
			}
			refs[target.RefID] = true
		}
		g := p.GridPos
		if g.X < 0 || g.Y < 0 || g.W <= 0 || g.H <= 0 || g.X+g.W > 24 {
			t.Errorf("panel %q is outside of the 24 columns: %+v", p.Title, g)
		}
		for _, q := range d.Panels[:i] {
			if o := q.GridPos; g.X < o.X+o.W && o.X < g.X+g.W && g.Y < o.Y+o.H && o.Y < g.Y+g.H {
				t.Errorf("panels %q and %q overlap", p.Title, q.Title)
			}
		}
	}
}

package report

import (
	_ "embed" // for the page
	"html/template"
	"io"

	"github.com/sluicegate/sluice/internal/load"
)

//go:embed page.html
var page string

// HTML writes r as a page that needs nothing else: neither scripts nor other files.
func HTML(w io.Writer, r *load.Result) error {
	t, err := template.New("page").Funcs(template.FuncMap{"duration": duration, "number": whole}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		*load.Result
		Figures       []figure
		Plots         []plot
		Width, Height float64
		Left, Right   float64
		Top, Bottom   float64
	}{r, figures(r), plots(r), plotWidth, plotHeight, plotLeft, plotRight, plotTop, plotBottom})
}

func whole(n int64) string { return number(float64(n)) }

package transport

import (
	"sync"
	"testing"
)

func TestBudget(t *testing.T) {
	b := NewBudget(64 << 10)
	small := b.Account(0, budgetFree)
	if small != 0 || b.Used() != 0 {
		t.Errorf("the allowance counts: %d, %d", small, b.Used())
	}
	much := b.Account(0, 40<<10+1)
	little := b.Account(0, 8<<10)
	if much != 44<<10 || little != 8<<10 || b.Used() != 52<<10 || b.Over() {
		t.Errorf("taken %d and %d, used %d, over %v", much, little, b.Used(), b.Over())
	}
	much = b.Account(much, 60<<10)
	if !b.Over() || !b.Excess(much) || b.Excess(little) {
		t.Errorf("used %d of 64 KiB: over %v, excess of the one %v, of the other %v", b.Used(), b.Over(), b.Excess(much), b.Excess(little))
	}
	b.Account(much, 0)
	b.Account(little, 100)
	if b.Used() != 0 || b.holders.Load() != 0 || b.Over() {
		t.Errorf("used %d by %d at the end", b.Used(), b.holders.Load())
	}
	if n := (*Budget)(nil).Account(0, 1<<20); n == 0 || (*Budget)(nil).Over() || (*Budget)(nil).Used() != 0 {
		t.Errorf("without a budget: %d", n)
	}
}

// When the bound is passed, somebody holds more than a fair share.
func TestBudgetExcess(t *testing.T) {
	b := NewBudget(100 * budgetStep)
	taken := make([]int, 80)
	for i := range taken {
		taken[i] = b.Account(0, (2+i%3)*budgetStep)
	}
	if !b.Over() {
		t.Fatal("not over")
	}
	n := 0
	for _, got := range taken {
		if b.Excess(got) {
			n++
		}
	}
	if n == 0 {
		t.Error("nobody holds too much")
	}
}

func TestBudgetConcurrent(t *testing.T) {
	b := NewBudget(1 << 20)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			taken := 0
			for i := range 10_000 {
				taken = b.Account(taken, i*97%(64<<10))
			}
			b.Account(taken, 0)
		})
	}
	all.Wait()
	if b.Used() != 0 || b.holders.Load() != 0 {
		t.Errorf("%d used by %d at the end", b.Used(), b.holders.Load())
	}
}

// BenchmarkBudget is what a connection's input costs that holds little, and what
// one that holds much does.
func BenchmarkBudget(b *testing.B) {
	for _, test := range []struct {
		name  string
		holds int
	}{{"little", 100}, {"much", 64 << 10}} {
		b.Run(test.name, func(b *testing.B) {
			budget := NewBudget(1 << 30)
			b.ReportAllocs()
			for b.Loop() {
				taken := budget.Account(0, test.holds)
				if budget.Over() || budget.Account(taken, 0) != 0 {
					b.Fatal("passed")
				}
			}
		})
	}
}

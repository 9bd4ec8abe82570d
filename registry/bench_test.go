package registry

import (
	"math"
	"runtime"
	"testing"
)

func BenchmarkSubscribers(b *testing.B) {
	m, loops := NewMemory(), newLoops(4)
	addMany(b, m, loops, 10_000, "topic")
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		var as []Audience
		for b.Loop() {
			as = m.Subscribers(as[:0], "topic")
			releaseAll(as)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			var as []Audience
			for pb.Next() {
				as = m.Subscribers(as[:0], "topic")
				releaseAll(as)
			}
		})
	})
}

// BenchmarkSubscribe subscribes and unsubscribes one client of a large topic.
// Held means that an audience is taken each time, as by a publisher, which
// makes the removal copy one loop's part.
func BenchmarkSubscribe(b *testing.B) {
	for _, held := range []bool{false, true} {
		name := "free"
		if held {
			name = "held"
		}
		b.Run(name, func(b *testing.B) {
			m, loops := NewMemory(), newLoops(4)
			addMany(b, m, loops, 10_000, "topic")
			add(b, m, entry(loops[0], "id"))
			topics := []string{"topic"}
			var as []Audience
			b.ReportAllocs()
			for b.Loop() {
				m.Subscribe("id", topics, math.MaxInt)
				if held {
					as = m.Subscribers(as[:0], "topic")
				}
				m.Unsubscribe("id", topics)
				if held {
					releaseAll(as)
				}
			}
		})
	}
}

func BenchmarkFind(b *testing.B) {
	m := NewMemory()
	addMany(b, m, newLoops(4), 100_000)
	b.ReportAllocs()
	var dst [1]*Client
	for b.Loop() {
		m.Find(dst[:0], "50000")
	}
}

func BenchmarkAddRemove(b *testing.B) {
	m, loops := NewMemory(), newLoops(4)
	addMany(b, m, loops, 100_000, "topic")
	e := entry(loops[0], "id", "topic")
	e.CustomerID = "customer"
	b.ReportAllocs()
	for b.Loop() {
		c := new(Client)
		if err := m.Add(c, e); err != nil {
			b.Fatal(err)
		}
		m.Remove(c)
	}
}

// BenchmarkDisconnect removes 100,000 clients of one topic.
func BenchmarkDisconnect(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		m := NewMemory()
		clients := addMany(b, m, newLoops(4), 100_000, "topic")
		b.StartTimer()
		for _, c := range clients {
			m.Remove(c)
		}
	}
}

// BenchmarkDeleteTopic deletes a topic of 100,000 clients; nothing else can
// happen meanwhile.
func BenchmarkDeleteTopic(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		m := NewMemory()
		addMany(b, m, newLoops(4), 100_000, "topic")
		b.StartTimer()
		m.DeleteTopics([]string{"topic"})
	}
}

// BenchmarkMemory reports bytes, not time.
func BenchmarkMemory(b *testing.B) {
	for _, test := range memoryCases {
		b.Run(test.name, func(b *testing.B) {
			var client, subscription float64
			for b.Loop() {
				client, subscription = bytesPer(b, test.clients, test.topics, test.loops)
			}
			b.ReportMetric(client, "B/client")
			b.ReportMetric(subscription, "B/subscription")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkMemoryOfOwnTopic reports what a topic with one subscriber costs.
func BenchmarkMemoryOfOwnTopic(b *testing.B) {
	const clients, loops = 20_000, 32
	topics := names("own", clients)
	var each float64
	for b.Loop() {
		m := NewMemory()
		cs := addMany(b, m, newLoops(loops), clients)
		before := heap()
		for i, c := range cs {
			m.Subscribe(c.UniqID(), topics[i:i+1], math.MaxInt)
		}
		each = float64(heap()-before) / clients
		runtime.KeepAlive(m)
		runtime.KeepAlive(cs)
	}
	b.ReportMetric(each, "B/topic")
	b.ReportMetric(0, "ns/op")
}

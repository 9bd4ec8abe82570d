package registry

import (
	"math"
	"runtime"
	"strconv"
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
	for _, n := range []int{1, 1000, 8000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			ids := make([]string, n)
			for i := range ids {
				ids[i] = strconv.Itoa(50_000 + i)
			}
			var one [1]*Client
			b.ReportAllocs()
			for b.Loop() {
				if found := m.Find(one[:0], ids...); len(found) != n {
					b.Fatalf("%d of %d found", len(found), n)
				}
			}
		})
	}
}

// BenchmarkLookup is what loops do for each message to one client, all at once.
func BenchmarkLookup(b *testing.B) {
	m := NewMemory()
	addMany(b, m, newLoops(4), 100_000)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		ids := []string{"50000", "50001", "70000", "99999"}
		for i := 0; pb.Next(); i++ {
			if _, ok := m.Lookup(ids[i%len(ids)]); !ok {
				b.Error("not found")
			}
		}
	})
}

func BenchmarkFindByCustomer(b *testing.B) {
	m, loops := NewMemory(), newLoops(4)
	for i := range 10_000 {
		e := entry(loops[i%len(loops)], strconv.Itoa(i))
		e.CustomerID = strconv.Itoa(i / 2)
		add(b, m, e)
	}
	b.ReportAllocs()
	var few [4]*Client
	for b.Loop() {
		if found := m.FindByCustomer(few[:0], "2500"); len(found) != 2 {
			b.Fatalf("%d found", len(found))
		}
	}
}

// BenchmarkInfo is asked for with each message. Fresh means that the client was
// changed before.
func BenchmarkInfo(b *testing.B) {
	m, loops := NewMemory(), newLoops(4)
	addMany(b, m, loops, 10_000, "topic")
	c, session := add(b, m, entry(loops[0], "id", names("topic", 5)...)), "session"
	b.Run("same", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Info(c)
		}
	})
	b.Run("fresh", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := m.Change("id", Change{Session: &session}); err != nil {
				b.Fatal(err)
			}
			m.Info(c)
		}
	})
}

func BenchmarkEveryone(b *testing.B) {
	m := NewMemory()
	addMany(b, m, newLoops(4), 10_000)
	b.ReportAllocs()
	var as []Audience
	for b.Loop() {
		as = m.Everyone(as[:0])
		releaseAll(as)
	}
}

// BenchmarkTopicUniqIDs lists the subscribers of a large topic.
func BenchmarkTopicUniqIDs(b *testing.B) {
	for _, n := range []int{1000, 8000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			m, topics := NewMemory(), []string{"topic"}
			addMany(b, m, newLoops(4), n, topics...)
			b.ReportAllocs()
			for b.Loop() {
				if all := m.TopicUniqIDs(topics); len(all["topic"]) != n {
					b.Fatalf("%d of %d listed", len(all["topic"]), n)
				}
			}
		})
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

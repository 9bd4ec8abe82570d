package metrics

import (
	"strconv"

	"github.com/sluicegate/sluice/transport"
)

// gatewayFamilies are about clients and what they send and get.
func gatewayFamilies() []family {
	return []family{
		gauge("ready", "Whether the gateway accepts clients: 1 while it serves, 0 in a drain and at its end.", func(s *sample) float64 {
			if s.ready {
				return 1
			}
			return 0
		}),
		gauge("clients", "Clients that are open.", func(s *sample) float64 { return float64(s.Clients) }),
		gauge("customers", "Customers with a client that is open.", func(s *sample) float64 { return float64(s.Customers) }),
		gauge("topics", "Topics with a subscriber.", func(s *sample) float64 { return float64(s.Topics) }),
		counter("clients_opened_total", "Clients that have connected.", func(s *sample) int64 { return s.Opened }),
		counters("clients_closed_total", "Clients that have left, by close code and reason.", []string{"code", "reason"}, func(s *sample, e emit) {
			for kind, n := range s.Closes {
				e(float64(n), strconv.Itoa(kind.Code), kind.Reason)
			}
		}),
		counters("handshakes_refused_total", "Valid handshakes that were refused, by reason.", []string{"reason"}, func(s *sample, e emit) {
			for reason, n := range s.Refused {
				e(float64(n), string(reason))
			}
		}),
		counter("heartbeats_total", "Heartbeat messages, pings and pongs from clients.", func(s *sample) int64 { return s.Heartbeats }),
		counter("messages_received_total", "Messages from clients, without heartbeats.", func(s *sample) int64 { return s.MessagesIn }),
		counter("received_bytes_total", "Bytes of messages from clients, inflated and without frame headers.", func(s *sample) int64 { return s.BytesIn }),
		counter("events_total", "Opens, messages and closes that were forwarded to the Router.", func(s *sample) int64 { return s.Events }),
		counter("event_bytes_total", "Bytes of the messages among these.", func(s *sample) int64 { return s.EventBytes }),
		counter("messages_sent_total", "Messages that clients' sockets have taken.", func(s *sample) int64 { return s.MessagesOut }),
		counter("sent_bytes_total", "Bytes of these messages, with frame headers.", func(s *sample) int64 { return s.BytesOut }),
		counters("messages_dropped_total", "Messages that were not delivered, by reason.", []string{"reason"}, func(s *sample, e emit) {
			for reason, n := range s.Drops {
				e(float64(n.Messages), string(reason))
			}
		}),
		counters("dropped_bytes_total", "Bytes of messages that were not delivered, by reason.", []string{"reason"}, func(s *sample, e emit) {
			for reason, n := range s.Drops {
				e(float64(n.Bytes), string(reason))
			}
		}),
		counter("failed_sends_total", "Events that could not be handed to another process.", func(s *sample) int64 { return s.FailedSends }),
	}
}

// workFamilies are about what the gateway has to do, and how it keeps up.
func workFamilies() []family {
	loop := []string{"transport", "loop"}
	perLoop := func(name, help string, read func(s *sample, i int) int) family {
		return gauges(name, help, loop, func(s *sample, e emit) {
			for i, l := range s.Loops {
				e(float64(read(s, i)), strconv.Itoa(l.Transport), strconv.Itoa(l.Index))
			}
		})
	}
	return []family{
		histograms("handler_duration_seconds", "Time that calls of the Router have taken, by event.", []string{"event"}, func(s *sample, e observe) {
			for kind, h := range s.handlers {
				e(h, string(kind))
			}
		}),
		gauge("stuck_calls", "Calls of the host's code, and loops, that have been held up for longer than StuckAfter.",
			func(s *sample) float64 { return float64(s.Stuck) }),
		gauges("workers", "Goroutines that call the Router, by whether they are in a call.", []string{"state"}, func(s *sample, e emit) {
			e(float64(s.Workers.Busy), "busy")
			e(float64(s.Workers.Running-s.Workers.Busy), "idle")
		}),
		gauge("workers_limit", "How many of these goroutines there may be.", func(s *sample) float64 { return float64(s.Workers.Limit) }),
		gauge("clients_waiting", "Clients with something for the Router and no goroutine for it.", func(s *sample) float64 { return float64(s.Workers.Waiting) }),
		gauge("held_bytes", "Bytes that clients make the gateway hold.", func(s *sample) float64 { return float64(s.Held) }),
		gauge("held_limit_bytes", "The bound on these, MemoryBudget.", func(s *sample) float64 { return float64(s.HeldLimit) }),
		histograms("loop_lag_seconds", "Time that a task waits for its event loop; each loop with clients is asked once a second.", nil,
			func(s *sample, e observe) { e(s.LoopLag) }),
		gauge("loop_late_seconds", "How long the slowest event loop has been asked and has not answered.",
			func(s *sample) float64 { return s.LoopLate.Seconds() }),
		histograms("flush_bytes", "Bytes of one write of messages to a client.", nil, func(s *sample, e observe) {
			var all transport.Histogram
			for _, l := range s.Loops {
				all = all.Plus(l.Flushes)
			}
			if len(s.Loops) > 0 {
				e(all)
			}
		}),
		perLoop("loop_connections", "Connections of an event loop, in any state.", func(s *sample, i int) int { return s.Loops[i].Connections }),
		perLoop("loop_mailbox_tasks", "Tasks that wait for an event loop.", func(s *sample, i int) int { return s.Loops[i].Tasks }),
		perLoop("loop_mailbox_bytes", "Bytes that count against an event loop's MailboxLimit.", func(s *sample, i int) int { return s.Loops[i].MailboxBytes }),
	}
}

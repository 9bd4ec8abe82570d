package metrics

import "github.com/sluicegate/sluice/hooks/remote"

// businessFamilies are about business processes.
func businessFamilies() []family {
	count := func(name, help string, read func(remote.Stats) int64) family {
		return counter(name, help, func(s *sample) int64 { return read(s.business) })
	}
	level := func(name, help string, read func(remote.Stats) int) family {
		return gauge(name, help, func(s *sample) float64 { return float64(read(s.business)) })
	}
	perProcess := func(name, help string, read func(remote.ProcessInfo) int) family {
		return gauges(name, help, []string{"process"}, func(s *sample, e emit) {
			for _, p := range s.processes {
				e(float64(read(p)), p.RemoteAddr)
			}
		})
	}
	return []family{
		level("business_processes", "Business processes that are registered.", func(s remote.Stats) int { return s.Processes }),
		level("business_task_connections", "Connections by which commands come.", func(s remote.Stats) int { return s.Tasks }),
		count("business_events_sent_total", "Events that business processes' sockets have taken.", func(s remote.Stats) int64 { return s.Sent }),
		level("business_events_queued", "Events that wait to be sent to a process.", func(s remote.Stats) int { return s.Queued }),
		level("business_events_buffered", "Events that wait for a process to come.", func(s remote.Stats) int { return s.Waiting }),
		level("business_buffered_bytes", "Bytes of the events that wait for a process to come.", func(s remote.Stats) int { return s.WaitingBytes }),
		counters("business_events_dropped_total", "Events that no process got, by reason.", []string{"reason"}, func(s *sample, e emit) {
			e(float64(s.business.DroppedUnclaimed), "unclaimed")
			e(float64(s.business.DroppedFull), "full")
			e(float64(s.business.DroppedStopped), "stopped")
		}),
		count("business_events_in_doubt_total", "Events that a process which died may not have handled.", func(s remote.Stats) int64 { return s.InDoubt }),
		count("business_commands_total", "Commands of business processes that were carried out.", func(s remote.Stats) int64 { return s.Commands }),
		count("business_packets_malformed_total", "Packets of business processes that were not understood.", func(s remote.Stats) int64 { return s.Malformed }),
		count("business_connections_refused_total", "Connections that were closed as nobody showed who they are.", func(s remote.Stats) int64 { return s.Refused }),
		level("business_strangers", "Connections whose peers have yet to show who they are.", func(s remote.Stats) int { return s.Strangers }),
		perProcess("business_process_clients", "Clients whose events go to a process.", func(p remote.ProcessInfo) int { return p.Clients }),
		perProcess("business_process_queued_events", "Events that wait to be sent to a process.", func(p remote.ProcessInfo) int { return p.QueuedEvents }),
		perProcess("business_process_queued_bytes", "Bytes that wait to be sent to a process.", func(p remote.ProcessInfo) int { return p.QueuedBytes }),
	}
}

// callbackFamilies are about HTTP callbacks.
func callbackFamilies() []family {
	return []family{
		counters("callback_requests_total", "HTTP callbacks by what they were for and what came of them.", []string{"hook", "result"}, func(s *sample, e emit) {
			e(float64(s.callback.Admitted), "open", "admitted")
			e(float64(s.callback.Refused), "open", "refused")
			e(float64(s.callback.Failed), "open", "failed")
			e(float64(s.callback.Closes), "close", "answered")
			e(float64(s.callback.ClosesFailed), "close", "failed")
			e(float64(s.callback.ClosesDropped), "close", "dropped")
		}),
		gauge("callback_closes_waiting", "Closes that wait to be posted.", func(s *sample) float64 { return float64(s.callback.ClosesWaiting) }),
	}
}

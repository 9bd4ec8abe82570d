package metrics

import "github.com/sluicegate/sluice/hooks"

// clusterFamilies are about the other nodes. A gateway on its own shows none of them.
func clusterFamilies() []family {
	count := func(name, help string, read func(*hooks.ClusterStats) int64) family {
		return counters("cluster_"+name, help, nil, func(s *sample, e emit) {
			if s.Cluster.Nodes > 0 {
				e(float64(read(&s.Cluster)))
			}
		})
	}
	level := func(name, help string, read func(*hooks.ClusterStats) int64) family {
		return gauges("cluster_"+name, help, nil, func(s *sample, e emit) {
			if s.Cluster.Nodes > 0 {
				e(float64(read(&s.Cluster)))
			}
		})
	}
	return []family{
		level("connected", "Whether the other nodes can be reached: 1 if so.", func(s *hooks.ClusterStats) int64 {
			if s.Connected {
				return 1
			}
			return 0
		}),
		level("nodes", "Nodes that there are, this one included.", func(s *hooks.ClusterStats) int64 { return int64(s.Nodes) }),
		level("topics", "Topics whose messages this node gets from the others.", func(s *hooks.ClusterStats) int64 { return int64(s.Topics) }),
		count("messages_sent_total", "Messages handed to the engine between the nodes.", func(s *hooks.ClusterStats) int64 { return s.Sent }),
		count("sent_bytes_total", "Bytes of these.", func(s *hooks.ClusterStats) int64 { return s.SentBytes }),
		count("messages_received_total", "Messages that came from other nodes.", func(s *hooks.ClusterStats) int64 { return s.Received }),
		count("received_bytes_total", "Bytes of these.", func(s *hooks.ClusterStats) int64 { return s.ReceivedBytes }),
		count("messages_unsent_total", "Messages that were not handed to the engine.", func(s *hooks.ClusterStats) int64 { return s.Unsent }),
		count("messages_missed_total", "Messages of other nodes that were lost on their way here.", func(s *hooks.ClusterStats) int64 { return s.Missed }),
		count("messages_malformed_total", "Messages that could not be read.", func(s *hooks.ClusterStats) int64 { return s.Malformed }),
		count("silent_total", "Questions that a node did not answer in time, each node by itself.", func(s *hooks.ClusterStats) int64 { return s.Silent }),
		level("outgoing_bytes", "Bytes that wait for the engine.", func(s *hooks.ClusterStats) int64 { return s.Outgoing }),
		level("outgoing_limit_bytes", "Bytes that may wait for the engine.", func(s *hooks.ClusterStats) int64 { return s.OutgoingLimit }),
		level("incoming_bytes", "Bytes from other nodes that wait to be carried out.", func(s *hooks.ClusterStats) int64 { return s.Incoming }),
		level("incoming_limit_bytes", "Bytes from other nodes that may wait.", func(s *hooks.ClusterStats) int64 { return s.IncomingLimit }),
		count("nodes_joined_total", "Nodes that have come.", func(s *hooks.ClusterStats) int64 { return s.Joined }),
		count("nodes_left_total", "Nodes that have taken their leave.", func(s *hooks.ClusterStats) int64 { return s.Left }),
		count("nodes_lost_total", "Nodes that were not heard of any more.", func(s *hooks.ClusterStats) int64 { return s.Lost }),
		count("reconnects_total", "How often the engine was lost and found again.", func(s *hooks.ClusterStats) int64 { return s.Reconnects }),
	}
}

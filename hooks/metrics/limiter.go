package metrics

// limiterFamilies are about the Limiter. Labels are the fields of limit.Config.
func limiterFamilies() []family {
	return []family{
		gauge("limiter_clients", "Clients that the Limiter has admitted, handshakes included.", func(s *sample) float64 { return float64(s.limiter.Clients) }),
		gauges("limiter_rate", "Rates in force, per second; 0 is no limit.", []string{"limit"}, func(s *sample, e emit) {
			e(float64(s.limiter.Limits.OnOpen), "onOpen")
			e(float64(s.limiter.Limits.OnMessage), "onMessage")
		}),
		counters("limiter_refusals_total", "Handshakes and messages that the Limiter has refused, by limit.", []string{"limit"}, func(s *sample, e emit) {
			r := s.limiter.Refused
			e(float64(r.MaxClients), "maxClients")
			e(float64(r.OnOpen), "onOpen")
			e(float64(r.IPClients), "ipClients")
			e(float64(r.IPOpens), "ipOpens")
			e(float64(r.ClientMessages), "clientMessages")
			e(float64(r.OnMessage), "onMessage")
		}),
	}
}

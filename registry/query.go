package registry

// The queries hold the lock for reading while they build their answer, so
// that an answer is of one moment.

// Len implements [Registry].
func (m *Memory) Len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.clients.len()
}

// UniqIDs implements [Registry].
func (m *Memory) UniqIDs() []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.clients.uniqIDs()
}

// CustomerLen implements [Registry].
func (m *Memory) CustomerLen() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.customers)
}

// CustomerIDs implements [Registry].
func (m *Memory) CustomerIDs() []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return keys(m.customers)
}

// TopicLen implements [Registry].
func (m *Memory) TopicLen() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.topics)
}

// Topics implements [Registry].
func (m *Memory) Topics() []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return keys(m.topics)
}

// TopicUniqIDs implements [Registry].
func (m *Memory) TopicUniqIDs(topics []string) map[string][]string {
	return collect(m, topics, func(t *topic) []string {
		ids := make([]string, 0, t.subscribers)
		t.each(func(c *Client) { ids = append(ids, c.uniqID) })
		return ids
	})
}

// TopicCustomers implements [Registry].
func (m *Memory) TopicCustomers(topics []string) map[string][]string {
	return collect(m, topics, func(t *topic) []string {
		customers := t.customers()
		ids := make([]string, 0, len(customers))
		for cu := range customers {
			ids = append(ids, cu.id)
		}
		return ids
	})
}

// TopicCustomerUniqIDs implements [Registry].
func (m *Memory) TopicCustomerUniqIDs(topics []string) map[string]map[string][]string {
	return collect(m, topics, func(t *topic) map[string][]string {
		customers := t.customers()
		byCustomer := make(map[string][]string, len(customers))
		for cu := range customers {
			ids := make([]string, len(cu.clients))
			for i, c := range cu.clients {
				ids[i] = c.uniqID
			}
			byCustomer[cu.id] = ids
		}
		return byCustomer
	})
}

// TopicCounts implements [Registry].
func (m *Memory) TopicCounts(topics []string, all bool) map[string]int {
	return m.count(topics, all, func(t *topic) int { return t.subscribers })
}

// TopicCustomerCounts implements [Registry].
func (m *Memory) TopicCustomerCounts(topics []string, all bool) map[string]int {
	return m.count(topics, all, func(t *topic) int { return len(t.customers()) })
}

func (m *Memory) count(topics []string, all bool, of func(*topic) int) map[string]int {
	if !all {
		return collect(m, topics, of)
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	counts := make(map[string]int, len(m.topics))
	for name, t := range m.topics {
		counts[name] = of(t)
	}
	return counts
}

// collect applies of to those of topics that exist.
func collect[V any](m *Memory, topics []string, of func(*topic) V) map[string]V {
	m.mu.RLock()
	defer m.mu.RUnlock()
	items := make(map[string]V, len(topics))
	for _, name := range topics {
		if t, ok := m.topics[name]; ok {
			items[name] = of(t)
		}
	}
	return items
}

func (t *topic) each(f func(*Client)) {
	for _, p := range t.parts {
		if p == nil {
			continue
		}
		for _, c := range p.clients {
			f(c)
		}
	}
}

// customers is the set of customers with a subscriber of t.
func (t *topic) customers() map[*customer]struct{} {
	set := make(map[*customer]struct{})
	t.each(func(c *Client) {
		if cu := c.customer(); cu != nil {
			set[cu] = struct{}{}
		}
	})
	return set
}

func keys[V any](m map[string]V) []string {
	ks := make([]string, 0, len(m))
	for k := range m {
		ks = append(ks, k)
	}
	return ks
}

package gateway

import "context"

// CheckOnline implements [hooks.Bus].
func (g local) CheckOnline(_ context.Context, uniqIDs []string) ([]string, error) {
	found := g.reg.Find(nil, uniqIDs...)
	online := make([]string, len(found))
	for i, c := range found {
		online[i] = c.UniqID()
	}
	return online, nil
}

// UniqIDs implements [hooks.Bus].
func (g local) UniqIDs(context.Context) ([]string, error) { return g.reg.UniqIDs(), nil }

// UniqIDCount implements [hooks.Bus].
func (g local) UniqIDCount(context.Context) (int, error) { return g.reg.Len(), nil }

// CustomerIDs implements [hooks.Bus].
func (g local) CustomerIDs(context.Context) ([]string, error) { return g.reg.CustomerIDs(), nil }

// CustomerIDCount implements [hooks.Bus].
func (g local) CustomerIDCount(context.Context) (int, error) { return g.reg.CustomerLen(), nil }

// Topics implements [hooks.Bus].
func (g local) Topics(context.Context) ([]string, error) { return g.reg.Topics(), nil }

// TopicCount implements [hooks.Bus].
func (g local) TopicCount(context.Context) (int, error) { return g.reg.TopicLen(), nil }

// TopicUniqIDs implements [hooks.Bus].
func (g local) TopicUniqIDs(_ context.Context, topics []string) (map[string][]string, error) {
	return g.reg.TopicUniqIDs(topics), nil
}

// TopicUniqIDCounts implements [hooks.Bus].
func (g local) TopicUniqIDCounts(_ context.Context, topics []string, all bool) (map[string]int, error) {
	return g.reg.TopicCounts(topics, all), nil
}

// TopicCustomerIDs implements [hooks.Bus].
func (g local) TopicCustomerIDs(_ context.Context, topics []string) (map[string][]string, error) {
	return g.reg.TopicCustomers(topics), nil
}

// TopicCustomerUniqIDs implements [hooks.Bus].
func (g local) TopicCustomerUniqIDs(_ context.Context, topics []string) (map[string]map[string][]string, error) {
	return g.reg.TopicCustomerUniqIDs(topics), nil
}

// TopicCustomerIDCounts implements [hooks.Bus].
func (g local) TopicCustomerIDCounts(_ context.Context, topics []string, all bool) (map[string]int, error) {
	return g.reg.TopicCustomerCounts(topics, all), nil
}

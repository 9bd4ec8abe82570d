package gateway

import "context"

// CheckOnline implements [hooks.Bus].
func (g *Gateway) CheckOnline(_ context.Context, uniqIDs []string) ([]string, error) {
	found := g.reg.Find(nil, uniqIDs...)
	online := make([]string, len(found))
	for i, c := range found {
		online[i] = c.UniqID()
	}
	return online, nil
}

// UniqIDs implements [hooks.Bus].
func (g *Gateway) UniqIDs(context.Context) ([]string, error) { return g.reg.UniqIDs(), nil }

// UniqIDCount implements [hooks.Bus].
func (g *Gateway) UniqIDCount(context.Context) (int, error) { return g.reg.Len(), nil }

// CustomerIDs implements [hooks.Bus].
func (g *Gateway) CustomerIDs(context.Context) ([]string, error) { return g.reg.CustomerIDs(), nil }

// CustomerIDCount implements [hooks.Bus].
func (g *Gateway) CustomerIDCount(context.Context) (int, error) { return g.reg.CustomerLen(), nil }

// Topics implements [hooks.Bus].
func (g *Gateway) Topics(context.Context) ([]string, error) { return g.reg.Topics(), nil }

// TopicCount implements [hooks.Bus].
func (g *Gateway) TopicCount(context.Context) (int, error) { return g.reg.TopicLen(), nil }

// TopicUniqIDs implements [hooks.Bus].
func (g *Gateway) TopicUniqIDs(_ context.Context, topics []string) (map[string][]string, error) {
	return g.reg.TopicUniqIDs(topics), nil
}

// TopicUniqIDCounts implements [hooks.Bus].
func (g *Gateway) TopicUniqIDCounts(_ context.Context, topics []string, all bool) (map[string]int, error) {
	return g.reg.TopicCounts(topics, all), nil
}

// TopicCustomerIDs implements [hooks.Bus].
func (g *Gateway) TopicCustomerIDs(_ context.Context, topics []string) (map[string][]string, error) {
	return g.reg.TopicCustomers(topics), nil
}

// TopicCustomerUniqIDs implements [hooks.Bus].
func (g *Gateway) TopicCustomerUniqIDs(_ context.Context, topics []string) (map[string]map[string][]string, error) {
	return g.reg.TopicCustomerUniqIDs(topics), nil
}

// TopicCustomerIDCounts implements [hooks.Bus].
func (g *Gateway) TopicCustomerIDCounts(_ context.Context, topics []string, all bool) (map[string]int, error) {
	return g.reg.TopicCustomerCounts(topics, all), nil
}

package gateway

import (
	"context"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/registry"
)

// UpdateConnInfo implements [hooks.Bus].
func (g local) UpdateConnInfo(ctx context.Context, u hooks.ConnInfoUpdate) error {
	if len(u.NewSession) > g.cfg.MaxSession || g.tooLong(u.NewCustomerID) || g.tooLong(u.NewTopics...) {
		return g.answer(ctx, nil, hooks.ErrTooMany, u.Data)
	}
	ch := registry.Change{MaxTopics: g.cfg.MaxTopics}
	if u.NewSession != "" {
		ch.Session = &u.NewSession
	}
	if u.NewCustomerID != "" {
		ch.CustomerID = &u.NewCustomerID
	}
	if len(u.NewTopics) > 0 {
		ch.Topics = &u.NewTopics
	}
	if len(u.NewTopics) > 0 {
		g.want(ctx, u.UniqID, u.NewTopics)
		defer g.unwant(g.topicsOf(u.UniqID))
	}
	c, err := g.reg.Change(u.UniqID, ch)
	if c != nil && err == nil {
		g.wantStill(u.NewTopics)
	}
	return g.answer(ctx, c, err, u.Data)
}

// DeleteConnInfo implements [hooks.Bus].
func (g local) DeleteConnInfo(ctx context.Context, d hooks.ConnInfoDelete) error {
	var ch registry.Change
	if d.Session {
		ch.Session = new(string)
	}
	if d.CustomerID {
		ch.CustomerID = new(string)
	}
	if d.Topics {
		ch.Topics = new([]string)
		defer g.unwant(g.topicsOf(d.UniqID))
	}
	c, err := g.reg.Change(d.UniqID, ch)
	return g.answer(ctx, c, err, d.Data)
}

// ConnInfo implements [hooks.Bus].
func (g local) ConnInfo(_ context.Context, uniqIDs []string, f hooks.ConnInfoFields) (map[string]hooks.ConnInfo, error) {
	infos := make(map[string]hooks.ConnInfo, len(uniqIDs))
	for _, c := range g.reg.Find(nil, uniqIDs...) {
		infos[c.UniqID()] = g.connInfo(c, f)
	}
	return infos, nil
}

// ConnInfoByCustomerID implements [hooks.Bus].
func (g local) ConnInfoByCustomerID(_ context.Context, customerIDs []string, f hooks.ConnInfoFields) (map[string][]hooks.ConnInfo, error) {
	infos := make(map[string][]hooks.ConnInfo, len(customerIDs))
	for _, id := range customerIDs {
		if _, done := infos[id]; done {
			continue
		}
		for _, c := range g.reg.FindByCustomer(nil, id) {
			infos[id] = append(infos[id], g.connInfo(c, f))
		}
	}
	return infos, nil
}

func (g *Gateway) connInfo(c *registry.Client, f hooks.ConnInfoFields) (i hooks.ConnInfo) {
	all := g.reg.Info(c)
	if f.UniqID {
		i.UniqID = c.UniqID()
	}
	if f.Session {
		i.Session = all.Session
	}
	if f.CustomerID {
		i.CustomerID = all.CustomerID
	}
	if f.Topics {
		i.Topics = append([]string(nil), all.Topics...)
	}
	return i
}

package admin

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sluicegate/sluice/hooks"
)

const (
	// maxFound bounds the clients of one customer that are shown, maxShown and
	// maxShownEach the topics of a client, alone and as one of several, and
	// maxSession its session, in bytes.
	maxFound     = 20
	maxShown     = 50
	maxShownEach = 10
	maxSession   = 1 << 10
	// maxPublish bounds what is published, in bytes.
	maxPublish = 4 << 10
)

// Errors of requests, for a person to read.
var (
	errRequest  = errors.New("the request was not understood; reload the page")
	errReadOnly = errors.New("this page is read-only: actions are off in the gateway's configuration")
	errNobody   = errors.New("no client of this id is online")
	errNoID     = errors.New("an id is missing")
	errNoText   = errors.New("there is no text to publish")
	errText     = errors.New("the text is longer than 4 KiB")
	errNoTarget = errors.New("name either a topic or a client")
)

// answer does what a page asks for.
func (l *live) answer(ctx context.Context, p page, data []byte) reply {
	var r request
	if err := json.Unmarshal(data, &r); err != nil {
		return reply{Type: "reply", Error: errRequest.Error()}
	}
	re := reply{Type: "reply", ID: r.ID}
	var err error
	switch r.Do {
	case "find":
		err = l.find(ctx, r, &re)
	case "kick":
		err = l.kick(ctx, p, r)
	case "publish":
		err = l.send(ctx, p, r, &re)
	default:
		err = errRequest
	}
	if err != nil {
		re.Error = err.Error()
	}
	return re
}

// find looks clients up, in a cluster on all its nodes. If one of them does not
// answer, there is an error besides what the others know.
func (l *live) find(ctx context.Context, r request, re *reply) error {
	ids, topics := []string{r.UniqID}, maxShown
	var incomplete error
	switch {
	case r.UniqID != "":
	case r.CustomerID != "":
		// First who there is, and then of some of them what they hold.
		var all map[string][]hooks.ConnInfo
		all, incomplete = l.target.ConnInfoByCustomerID(ctx, []string{r.CustomerID}, hooks.ConnInfoFields{UniqID: true})
		ids = ids[:0]
		for _, c := range all[r.CustomerID] {
			ids = append(ids, c.UniqID)
		}
		slices.Sort(ids)
	default:
		return errNoID
	}
	re.Total = len(ids)
	if len(ids) > 1 {
		topics = maxShownEach
	}
	ids = ids[:min(len(ids), maxFound)]
	found, err := l.target.ConnInfo(ctx, ids, hooks.ConnInfoFields{UniqID: true, CustomerID: true, Session: true, Topics: true})
	if incomplete == nil {
		incomplete = err
	}
	for _, id := range ids {
		if c, ok := found[id]; ok {
			re.Clients = append(re.Clients, clientOf(c, topics))
		}
	}
	if r.UniqID != "" {
		re.Total = len(re.Clients)
	}
	return incomplete
}

// clientOf cuts what is long.
func clientOf(c hooks.ConnInfo, topics int) client {
	v := client{UniqID: c.UniqID, TopicCount: len(c.Topics)}
	v.CustomerID, _ = cut(c.CustomerID, maxText)
	v.Session, v.SessionCut = cut(c.Session, maxSession)
	slices.Sort(c.Topics)
	v.Topics = make([]string, 0, topics)
	for _, t := range c.Topics[:min(len(c.Topics), topics)] {
		t, _ = cut(t, maxText)
		v.Topics = append(v.Topics, t)
	}
	return v
}

// cut returns the beginning of s, of max bytes or a little less, with an ellipsis if
// it was longer, and how many bytes are missing.
func cut(s string, max int) (string, int) {
	if len(s) <= max {
		return s, 0
	}
	n := max
	for n > max-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.ToValidUTF8(s[:n], "\uFFFD") + "…", len(s) - n
}

// online returns errNobody if a client is not.
func (l *live) online(ctx context.Context, uniqID string) error {
	on, err := l.target.CheckOnline(ctx, []string{uniqID})
	if err == nil && len(on) == 0 {
		err = errNobody
	}
	return err
}

// kick puts a client offline.
func (l *live) kick(ctx context.Context, p page, r request) error {
	switch {
	case !l.cfg.Actions:
		return errReadOnly
	case r.UniqID == "":
		return errNoID
	}
	if err := l.online(ctx, r.UniqID); err != nil {
		return err
	}
	l.log.Info("admin kick", "remoteAddr", p.remote, "uniqId", r.UniqID)
	return l.target.ForceOffline(ctx, []string{r.UniqID}, nil)
}

// send publishes to a topic, or to one client.
func (l *live) send(ctx context.Context, p page, r request, re *reply) error {
	switch {
	case !l.cfg.Actions:
		return errReadOnly
	case (r.UniqID == "") == (r.Topic == ""):
		return errNoTarget
	case r.Text == "":
		return errNoText
	case len(r.Text) > maxPublish:
		return errText
	case r.UniqID != "":
		if err := l.online(ctx, r.UniqID); err != nil {
			return err
		}
		re.Total = 1
		l.log.Info("admin publish", "remoteAddr", p.remote, "uniqId", r.UniqID, "bytes", len(r.Text))
		return l.target.SingleCast(ctx, r.UniqID, []byte(r.Text))
	}
	counts, err := l.target.TopicUniqIDCounts(ctx, []string{r.Topic}, false)
	if err != nil {
		return err
	}
	re.Total = counts[r.Topic]
	name, _ := cut(r.Topic, maxText)
	l.log.Info("admin publish", "remoteAddr", p.remote, "topic", name, "bytes", len(r.Text))
	return l.target.Publish(ctx, []string{r.Topic}, []byte(r.Text))
}

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"syscall"
	"time"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/examples/gateway/config"
	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/callback"
	"github.com/sluicegate/sluice/hooks/limit"
	"github.com/sluicegate/sluice/hooks/metrics"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
	"github.com/sluicegate/sluice/transport/websocket"
)

// forEver is longer than any process lives, for what has no "no limit".
const forEver = 100 * 365 * 24 * time.Hour

// parts are what a gateway is made of.
type parts struct {
	gw      *gateway.Gateway
	rt      *remote.Router // nil without worker and task listener
	limiter *limit.Limiter
	admin   *admin.Admin // nil without
	// By which the listeners speak TLS, if they do.
	worker, task, operator papers
	// What processes must prove to know; empty is nothing.
	secrets secrets
}

// secrets are those of the two listeners.
type secrets struct{ worker, task string }

// build makes the gateway. Its parts listen already; they must be discarded if the
// gateway does not run.
func build(cfg config.Config, log *slog.Logger) (p *parts, err error) {
	gc := gatewayConfig(cfg, log)
	p = new(parts)
	if gc.Cluster, err = membership(cfg.Cluster); err != nil {
		return nil, err
	}
	if p.limiter, err = limit.New(limits(cfg)); err != nil {
		return nil, err
	}
	gc.Limiter = p.limiter
	shown := metrics.Config{Limiter: p.limiter}
	if open, shut := cfg.Customer.OnOpenCallbackApi, cfg.Customer.OnCloseCallbackApi; open != "" || shut != "" {
		hook, err := callback.New(callback.Config{OpenURL: open, CloseURL: shut, Timeout: cfg.Customer.CallbackApiDeadline, Logger: log})
		if err != nil {
			return nil, err
		}
		gc.Hooks = append(gc.Hooks, hook)
		shown.Callback = hook
	}
	if cfg.Worker.ListenAddress != "" || cfg.Task.ListenAddress != "" {
		rc, err := p.remoteConfig(cfg, log)
		if err == nil {
			p.rt, err = remote.Listen(rc)
		}
		if err != nil {
			return nil, explain(err)
		}
		// Its calls do not wait on event loops.
		gc.Router, gc.Inline = p.rt, true
		shown.Remote = p.rt
	} else {
		log.Warn("no business listener", "hint", "neither Worker nor Task has a ListenAddress: nobody can reach the clients")
	}
	if cfg.Worker.ReadBufferSize > 0 || cfg.Task.ReadBufferSize > 0 {
		log.Debug("setting ignored", "hint", "ReadBufferSize is not needed: the buffers find their sizes")
	}
	if cfg.Admin.ListenAddress != "" {
		m := metrics.New(shown)
		if p.admin, err = p.listenAdmin(cfg.Admin, m, log); err != nil {
			return nil, errors.Join(err, p.discard())
		}
		gc.Hooks = append(gc.Hooks, m, p.admin)
	}
	if p.gw, err = gateway.New(gc); err != nil {
		return nil, errors.Join(err, p.discard())
	}
	return p, nil
}

// discard closes what listens already. It is of use only if the gateway does not
// get to run it.
func (p *parts) discard() (err error) {
	if p.rt != nil {
		err = p.rt.Discard()
	}
	if p.admin != nil {
		err = errors.Join(err, p.admin.Discard())
	}
	return err
}

// gatewayConfig translates what concerns clients.
func gatewayConfig(cfg config.Config, log *slog.Logger) gateway.Config {
	c := cfg.Customer
	origins := allowedOrigins(c, log)
	heartbeat := c.HeartbeatInterval
	if heartbeat == 0 {
		heartbeat = -1
	}
	return gateway.Config{
		Transports:  []transport.Transport{gnet.Listen(c.ListenAddress, gnet.Loops(loops(c.Multicore, runtime.GOMAXPROCS(0))))},
		Path:        c.HandlePattern,
		Origins:     origins,
		Binary:      c.SendMessageType == 2,
		Compression: compression(c.CompressionLevel),

		TrustedProxies: config.Networks(c.TrustedProxies),
		ProxyProtocol:  config.Networks(c.ProxyProtocol),

		HeartbeatInterval: heartbeat,
		HeartbeatMessage:  c.HeartbeatMessage,
		MaxMessage:        c.ReceivePackLimit,
		// The largest message of a business process fits in behind others.
		WriteLimit:  1<<20 + cfg.Task.ReceivePackLimit,
		DrainTime:   drainTime(cfg.ShutdownWaitTime),
		StopTimeout: stopTimeout(cfg.ShutdownWaitTime),
		Metrics:     metricItems(cfg.Metrics.Item),
		Logger:      log,
	}
}

// allowedOrigins warns of a list that means everybody.
func allowedOrigins(c config.Customer, log *slog.Logger) []string {
	origins, anyOrigin := c.Origins()
	if anyOrigin {
		log.Warn("any origin allowed", "hint", "AllowOrigin is an empty list: pages of every site may connect; name their origins, or \"*\" if that is meant")
	}
	return origins
}

// limits are also there without a limit, as a reload or the command Limit may set
// them later.
func limits(cfg config.Config) limit.Config {
	lc := limit.Config{
		OnOpen: cfg.Limit.OnOpen, OnMessage: cfg.Limit.OnMessage, MaxClients: cfg.Customer.MaxOnlineNum,
		ClientWindow: cfg.Customer.LimitWindowSize, ClientMessages: cfg.Customer.LimitWindowMaxRequests,
		IPClients: cfg.Limit.IPConnections, IPOpens: cfg.Limit.IPOpens, Adjustable: true,
	}
	if lc.ClientMessages > 0 {
		lc.ClientFirst = cfg.Customer.LimitZeroWindowMaxRequests
		if cfg.Customer.LimitExceeded == "close" {
			lc.ClientExceeded = &hooks.Disconnect{
				Code: websocket.CloseTryAgainLater, Reason: "too many messages", RetryAfter: lc.ClientWindow,
			}
		}
	}
	return lc
}

func (p *parts) remoteConfig(cfg config.Config, log *slog.Logger) (remote.Config, error) {
	w, t := cfg.Worker, cfg.Task
	rc := remote.Config{
		Worker: remote.Listener{
			Addr: w.ListenAddress, Advertise: addrPort(w.Advertise), ReadDeadline: w.ReadDeadline,
			SendDeadline: w.SendDeadline, ReceiveLimit: w.ReceivePackLimit, Heartbeat: w.HeartbeatMessage,
		},
		Task: remote.Listener{
			Addr: t.ListenAddress, Advertise: addrPort(t.Advertise), ReadDeadline: t.ReadDeadline,
			SendDeadline: t.SendDeadline, ReceiveLimit: t.ReceivePackLimit, Heartbeat: t.HeartbeatMessage,
		},
		QueueEvents:  w.SendChanCap,
		WholeCluster: cfg.Cluster.Whole,
		Logger:       log,
	}
	if w.Choice == "roundrobin" {
		rc.Choice = remote.RoundRobin
	}
	if w.BufferSize > 0 && w.BufferAge > 0 {
		rc.Buffer, rc.BufferAge = w.BufferSize, w.BufferAge
	}
	err := errors.Join(workerTrust(w).apply(&rc.Worker, &p.worker), taskTrust(t).apply(&rc.Task, &p.task))
	p.secrets = secrets{rc.Worker.Secret, rc.Task.Secret}
	return rc, err
}

// addrPort returns the address that config has checked; the zero address for
// an empty text.
func addrPort(s string) netip.AddrPort {
	a, _ := netip.ParseAddrPort(s)
	return a
}

// loops returns how many event loops are so many per cent of the CPUs.
func loops(perCent, cpus int) int { return max(1, (perCent*cpus+99)/100) }

// compression returns the gateway's level for one of the existing gateway's,
// where -1 leaves the choice open and -2 is the fastest.
func compression(level int) int {
	switch level {
	case -1:
		return 6
	case -2:
		return 1
	default:
		return level
	}
}

func metricItems(items []int) []hooks.MetricItem {
	m := make([]hooks.MetricItem, 0, len(items)) // an empty list is not nil: it means none
	for _, i := range items {
		m = append(m, hooks.MetricItem(i))
	}
	return m
}

// drainTime returns over what time clients are sent away. The rest is left to what
// they and business processes still have under way; without a limit, it is the
// gateway's own default.
func drainTime(shutdownWait time.Duration) time.Duration { return shutdownWait / 4 }

// stopTimeout returns how long the gateway may wait for calls before it
// cancels them. Half of the time is left for them to obey.
func stopTimeout(shutdownWait time.Duration) time.Duration {
	if shutdownWait == 0 {
		return forEver
	}
	return max(1, shutdownWait/2)
}

// explain adds to an error of a listener what to do about it.
func explain(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; choose another port, or stop the program that has this one", err)
	}
	return err
}

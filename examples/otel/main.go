// Otel is a gateway whose metrics go to OpenTelemetry, through the bridge that
// OpenTelemetry has for Prometheus's collectors. Every client gets back what it sends.
//
//	go run .
//
// prints the metrics every ten seconds. To send them to a collector, replace
// stdoutmetric by otlpmetricgrpc or otlpmetrichttp; nothing else changes. It is a
// module of its own, for the sake of what OpenTelemetry brings along.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/hooks/metrics"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C, while the first is still being obeyed, ends it at once.
	context.AfterFunc(ctx, stop)
	err := run(ctx, gnet.Listen("127.0.0.1:6060"), os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "otel:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, and writes metrics to w.
func run(ctx context.Context, clients transport.Transport, w io.Writer) error {
	exporter, err := stdoutmetric.New(stdoutmetric.WithWriter(w))
	if err != nil {
		return err
	}
	m := metrics.New(metrics.Config{})
	gw, err := gateway.New(gateway.Config{
		Transports: []transport.Transport{clients},
		Path:       "/ws",
		Router: hooks.RouterFuncs{OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
			if err := bus.SingleCast(ctx, e.UniqID, e.Data); err != nil {
				slog.Warn("no echo", "uniqId", e.UniqID, "error", err)
			}
		}},
		Hooks: []any{m},
	})
	if err != nil {
		return err
	}
	provider, err := export(m, exporter, 10*time.Second)
	if err != nil {
		return err
	}
	err = gw.Run(ctx)
	// The end exports once more, and so tells of what the gateway did last.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, provider.Shutdown(last))
}

// export sends what m collects to an exporter, every so often, until the provider is
// shut down. Instruments of OpenTelemetry's own can be made from the provider too.
func export(m *metrics.Metrics, to metric.Exporter, every time.Duration) (*metric.MeterProvider, error) {
	registry := prometheus.NewRegistry() // this gateway's alone
	if err := registry.Register(m); err != nil {
		return nil, err
	}
	reader := metric.NewPeriodicReader(to, metric.WithInterval(every),
		metric.WithProducer(bridge.NewMetricProducer(bridge.WithGatherer(registry))))
	return metric.NewMeterProvider(metric.WithReader(reader)), nil
}

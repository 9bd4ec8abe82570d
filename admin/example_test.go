package admin_test

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"

	"github.com/sluicegate/sluice/admin"
	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks/metrics"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/gnet"
)

// A gateway with a listener of its own for its operator.
func ExampleListen() {
	run := func(ctx context.Context) error {
		m := metrics.New(metrics.Config{})
		adm, err := admin.Listen(admin.Config{Addr: "127.0.0.1:6064", Token: os.Getenv("ADMIN_TOKEN"), Metrics: m})
		if err != nil {
			return err
		}
		gw, err := gateway.New(gateway.Config{
			Transports: []transport.Transport{gnet.Listen("127.0.0.1:6060")},
			Path:       "/ws",
			Hooks:      []any{m, adm},
		})
		if err != nil {
			return errors.Join(err, adm.Discard())
		}
		return gw.Run(ctx)
	}
	_ = run
}

// The operator's page under a path of the host's own server, behind its own log-in.
func ExampleNew() {
	login := func(next http.Handler) http.Handler { return next } // asks who it is
	adm, err := admin.New(admin.Config{InsecureAllowAnyone: true})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ops/", login(http.StripPrefix("/ops", adm)))
}

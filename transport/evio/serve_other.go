//go:build !(darwin || freebsd || linux)

package evio

import (
	"context"
	"errors"
	"runtime"

	"github.com/sluicegate/sluice/transport"
)

func serve(context.Context, string, int, transport.Options, transport.Handler) error {
	return errors.New("evio: neither github.com/tidwall/evio nor this package has event loops for " + runtime.GOOS)
}

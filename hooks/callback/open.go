package callback

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/wire"
	"github.com/sluicegate/sluice/protocol"
)

// policyViolation is RFC 6455's code for a client that is not wanted.
const policyViolation = 1008

// Admit asks the OpenURL about a client. It implements hooks.Admitter.
func (h *Hook) Admit(ctx context.Context, e hooks.OpenEvent) (hooks.Admission, error) {
	if h.cfg.OpenURL == "" {
		return hooks.Admission{}, nil
	}
	resp, err := h.ask(ctx, e)
	if err != nil {
		h.stats.failed.Add(1)
		if never := (*unsent)(nil); !errors.As(err, &never) {
			// The endpoint may take the client for open.
			h.Closed(hooks.CloseEvent{UniqID: e.UniqID})
		}
		return hooks.Admission{}, err
	}
	if !resp.GetAllow() {
		h.stats.refused.Add(1)
		return hooks.Admission{Data: resp.GetData()}, &hooks.Disconnect{Code: policyViolation, Reason: "unauthorized"}
	}
	h.stats.admitted.Add(1)
	return hooks.Admission{
		Identity: hooks.Identity{CustomerID: resp.GetNewCustomerId(), Session: resp.GetNewSession(), Topics: resp.GetNewTopics()},
		Data:     resp.GetData(),
	}, nil
}

func (h *Hook) ask(ctx context.Context, e hooks.OpenEvent) (*protocol.ConnOpenResp, error) {
	status, body, err := h.post(ctx, h.cfg.OpenURL, wire.Open(e))
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("callback: %s answered with status %d; it must answer 200 and a ConnOpenResp", h.cfg.OpenURL, status)
	}
	resp := new(protocol.ConnOpenResp)
	if err := proto.Unmarshal(body, resp); err != nil {
		return nil, fmt.Errorf("callback: the answer of %s is not a ConnOpenResp: %w", h.cfg.OpenURL, err)
	}
	return resp, nil
}

package callback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/internal/wire"
	"github.com/sluicegate/sluice/protocol"
)

// policyViolation is RFC 6455's code for a client that is not wanted.
const policyViolation = 1008

// Admit asks the OpenURL about a client and waits for the answer, at most for
// the Timeout or until ctx ends. It implements [hooks.Admitter].
//
// A no is a [*hooks.Disconnect] with code 1008. Any other error says why there
// is no answer; if the endpoint may have been asked, it is told that the client
// left, as it may take it for open.
func (h *Hook) Admit(ctx context.Context, e hooks.OpenEvent) (hooks.Admission, error) {
	if h.cfg.OpenURL == "" {
		return hooks.Admission{}, nil
	}
	resp, err := h.ask(ctx, e)
	if err != nil {
		h.stats.failed.Add(1)
		if never := (*unsent)(nil); !errors.As(err, &never) {
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
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Timeout)
	defer cancel()
	if err := h.place(ctx); err != nil {
		return nil, err
	}
	defer h.leave()
	answer := new(protocol.ConnOpenResp)
	return answer, h.post(ctx, h.cfg.OpenURL, wire.Open(e), func(resp *http.Response) error { return h.parse(resp, answer) })
}

// parse reads the answer of the OpenURL.
func (h *Hook) parse(resp *http.Response, into *protocol.ConnOpenResp) error {
	from := redacted(h.cfg.OpenURL)
	if resp.StatusCode != http.StatusOK {
		drain(resp)
		return fmt.Errorf("callback: %s answered with status %d; it must answer 200 and a ConnOpenResp", from, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(h.cfg.MaxBody)+1))
	if err != nil {
		return fmt.Errorf("callback: reading the answer of %s: %w", from, err)
	}
	if len(body) > h.cfg.MaxBody {
		return fmt.Errorf("callback: the answer of %s is larger than %d bytes; make it smaller or raise Config.MaxBody", from, h.cfg.MaxBody)
	}
	if err := proto.Unmarshal(body, into); err != nil {
		return fmt.Errorf("callback: the answer of %s is not a ConnOpenResp: %w", from, err)
	}
	return nil
}

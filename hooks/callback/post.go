package callback

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"
)

const mediaType = "application/x-protobuf"

// firstPause is how long a call waits before it tries to connect again.
const firstPause = 20 * time.Millisecond

// unsent says that an endpoint was certainly not asked.
type unsent struct{ err error }

func (e *unsent) Error() string { return e.err.Error() }
func (e *unsent) Unwrap() error { return e.err }

// post sends m and returns the status and body of the answer. While there is
// no connection it tries again; once there is one, the endpoint may have acted,
// and it does not.
func (h *Hook) post(ctx context.Context, url string, m proto.Message) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Timeout)
	defer cancel()
	content, err := proto.Marshal(m)
	if err != nil {
		return 0, nil, &unsent{err}
	}
	select {
	case h.places <- struct{}{}:
		defer func() { <-h.places }()
	case <-ctx.Done():
		return 0, nil, &unsent{fmt.Errorf("callback: %d calls are under way: %w", cap(h.places), ctx.Err())}
	}
	for pause := firstPause; ; pause *= 2 {
		status, body, err = h.once(ctx, url, content)
		if !neverConnected(err) {
			return status, body, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return 0, nil, &unsent{err}
		}
	}
}

// neverConnected reports whether a call failed before there was a connection.
func neverConnected(err error) bool {
	op := (*net.OpError)(nil)
	return errors.As(err, &op) && op.Op == "dial"
}

// once makes one attempt. net/http itself repeats it only on a connection that
// the endpoint had closed before anything was written to it.
func (h *Hook) once(ctx context.Context, url string, content []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(content)) // which can be read again
	if err != nil {
		return 0, nil, &unsent{err}
	}
	req.Header.Set("Content-Type", mediaType)
	req.Header.Set("Accept", mediaType)
	resp, err := h.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(h.cfg.MaxBody)+1))
	if err != nil {
		return 0, nil, fmt.Errorf("callback: reading the answer of %s: %w", url, err)
	}
	if len(body) > h.cfg.MaxBody {
		return 0, nil, fmt.Errorf("callback: the answer of %s is larger than %d bytes", url, h.cfg.MaxBody)
	}
	return resp.StatusCode, body, nil
}

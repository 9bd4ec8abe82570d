package callback

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
)

const (
	mediaType = "application/x-protobuf"

	// firstPause is how long a call waits before it tries to connect again;
	// each further pause is twice as long, up to longestPause.
	firstPause   = 20 * time.Millisecond
	longestPause = time.Second

	// drainLimit is how much is read of an answer that nobody wants, in
	// bytes, so that the connection can be used again.
	drainLimit = 64 << 10
)

// unsent says that an endpoint was certainly not asked.
type unsent struct {
	err   error
	again bool // connecting failed, which may be tried again
}

func (e *unsent) Error() string { return e.err.Error() }
func (e *unsent) Unwrap() error { return e.err }

// place waits for a place among the calls under way. leave gives it back.
func (h *Hook) place(ctx context.Context) error {
	select {
	case h.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &unsent{err: fmt.Errorf("callback: %d calls are under way already: %w", cap(h.places), ctx.Err())}
	}
}

func (h *Hook) leave() { <-h.places }

// post sends m and has read look at the answer, whose body is closed after
// that. While there is no connection it tries again; once there is one, the
// endpoint may have acted, and it does not. The caller holds a place.
func (h *Hook) post(ctx context.Context, url string, m proto.Message, read func(*http.Response) error) error {
	content, err := proto.Marshal(m)
	if err != nil {
		return &unsent{err: fmt.Errorf("callback: %w", err)}
	}
	if err := ctx.Err(); err != nil {
		return &unsent{err: fmt.Errorf("callback: %s was not called: %w", redacted(url), err)}
	}
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := h.once(ctx, url, content, read)
		if never := (*unsent)(nil); !errors.As(err, &never) || !never.again {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return &unsent{err: fmt.Errorf("%w (no more attempts: %w)", err, ctx.Err())}
		}
	}
}

// once makes one attempt. net/http itself repeats it only if it had a
// connection to which nothing was written, as the endpoint had closed it.
func (h *Hook) once(ctx context.Context, url string, content []byte, read func(*http.Response) error) error {
	// A bytes.Reader can be read again, so that 307 and 308 keep the body.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(content))
	if err != nil {
		return &unsent{err: fmt.Errorf("callback: %w", err)}
	}
	req.Header.Set("Content-Type", mediaType)
	req.Header.Set("Accept", mediaType)
	resp, err := h.client.Do(req)
	if err != nil {
		return fmt.Errorf("callback: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	return read(resp)
}

// drain reads what is left of an answer, up to a limit. The body of status 101
// is the bare connection: no context ends its reads, and it is of no more use.
func drain(resp *http.Response) {
	if resp.StatusCode != http.StatusSwitchingProtocols {
		_, _ = io.CopyN(io.Discard, resp.Body, drainLimit)
	}
}

// A watcher is a RoundTripper that marks errors as unsent.
type watcher struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (w watcher) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Response != nil {
		// It follows a redirect: whoever sent that has been asked.
		return w.base.RoundTrip(req)
	}
	// Another RoundTripper than net/http's may not trace; then it is not
	// known that there was no connection, unless the error says so.
	var wanted, got atomic.Bool
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn: func(string) { wanted.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { got.Store(true) },
	})
	resp, err := w.base.RoundTrip(req.WithContext(ctx))
	if err != nil && !got.Load() {
		op := (*net.OpError)(nil)
		if again := errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect"); again || wanted.Load() {
			return nil, &unsent{err: err, again: again}
		}
	}
	return resp, err
}

// redacted returns u as it may be logged.
func redacted(u string) string {
	p, err := url.Parse(u)
	if err != nil {
		return "the URL"
	}
	return p.Redacted()
}

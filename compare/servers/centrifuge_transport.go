package servers

import (
	"bytes"
	"sync"
	"time"

	"github.com/centrifugal/centrifuge"
	"github.com/gorilla/websocket"

	codec "github.com/sluicegate/sluice/transport/websocket"
)

// centrifugeTransport is a unidirectional transport over WebSocket, as users of
// the library may bring along. The library's own speaks to clients that send a
// command before they get anything and that know its envelope, where several
// messages may share one frame; clients of the load tool do neither. So this
// one connects them without a command and sends each message bare, in a frame
// of its own. Messages that the library hands over together leave in one write,
// as they would with its own transport.
type centrifugeTransport struct {
	conn    *websocket.Conn
	buffers *sync.Pool // of *[]byte, of all clients
	close   sync.Once
}

const (
	pushBegin = `{"channel":"` + centrifugeChannel + `","pub":{"data":"`
	pushEnd   = `"}}`

	// centrifugeWriteTimeout is the default of the library's own transport.
	centrifugeWriteTimeout = time.Second
)

func (t *centrifugeTransport) Name() string                      { return "websocket" }
func (t *centrifugeTransport) AcceptProtocol() string            { return "h1" }
func (t *centrifugeTransport) Protocol() centrifuge.ProtocolType { return centrifuge.ProtocolTypeJSON }
func (t *centrifugeTransport) ProtocolVersion() centrifuge.ProtocolVersion {
	return centrifuge.ProtocolVersion2
}
func (t *centrifugeTransport) Unidirectional() bool { return true }
func (t *centrifugeTransport) Emulation() bool      { return false }

// DisabledPushFlags leaves nothing but publications.
func (t *centrifugeTransport) DisabledPushFlags() uint64 {
	return centrifuge.PushFlagConnect | centrifuge.PushFlagSubscribe | centrifuge.PushFlagDisconnect
}

// PingPongConfig turns pings off, which are messages of the library's protocol.
func (t *centrifugeTransport) PingPongConfig() centrifuge.PingPongConfig {
	return centrifuge.PingPongConfig{PingInterval: -1}
}

// Write is called by the client's writing goroutine, as is WriteMany.
func (t *centrifugeTransport) Write(push []byte) error {
	buf := t.buffers.Get().(*[]byte)
	defer t.buffers.Put(buf)
	*buf = appendPush((*buf)[:0], push)
	return t.send(*buf)
}

func (t *centrifugeTransport) WriteMany(pushes ...[]byte) error {
	buf := t.buffers.Get().(*[]byte)
	defer t.buffers.Put(buf)
	*buf = (*buf)[:0]
	for _, p := range pushes {
		*buf = appendPush(*buf, p)
	}
	return t.send(*buf)
}

func (t *centrifugeTransport) send(frames []byte) error {
	conn := t.conn.NetConn()
	if err := conn.SetWriteDeadline(time.Now().Add(centrifugeWriteTimeout)); err != nil {
		return err
	}
	_, err := conn.Write(frames)
	return err
}

// appendPush cuts a message out of its envelope, which costs no copy.
func appendPush(out, push []byte) []byte {
	if m, ok := bytes.CutPrefix(push, []byte(pushBegin)); ok {
		push = bytes.TrimSuffix(m, []byte(pushEnd))
	}
	return codec.AppendFrame(out, codec.OpText, false, push)
}

// Close ends the client's reading side too.
func (t *centrifugeTransport) Close(d centrifuge.Disconnect) error {
	var err error
	t.close.Do(func() {
		why := websocket.FormatCloseMessage(int(d.Code), d.Reason)
		_ = t.conn.WriteControl(websocket.CloseMessage, why, time.Now().Add(centrifugeWriteTimeout))
		err = t.conn.Close()
	})
	return err
}

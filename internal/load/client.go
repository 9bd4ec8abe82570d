package load

import (
	"encoding/binary"
	"net"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/internal/load/message"
	"github.com/sluicegate/sluice/transport/websocket"
)

// A player is what a client does in a scenario. Its methods are called on the
// client's reading goroutine, with the client's shard locked, and must not block.
type player interface {
	// received is told of a message that came at now. data is valid until it
	// returns.
	received(h message.Head, data []byte, now time.Duration)
	// caughtUp is called when all that was read has been looked at.
	caughtUp()
	// gone is told that the connection has ended, after which nothing comes.
	gone()
}

// A client is one connection, and a goroutine that reads it.
type client struct {
	id    int
	conn  net.Conn
	shard *shard
	now   func() time.Duration
	ended func(*client) // called once, at the end of its reading
	group string        // what its kind is called in counts, with a space behind; mostly empty
	code  int           // of the close frame that came, 1006 if none did
	other int64         // messages that are not the run's

	player  player
	frames  frames
	answers []byte // what players want sent when what was read has been looked at

	paused  atomic.Pointer[chan struct{}] // closed when reading may go on
	leaving atomic.Bool                   // the run closes it itself
	left    bool                          // its reading has ended
}

// mask is any: the server's work does not depend on it.
const (
	mask       = "\x01\x02\x03\x04"
	noCode     = 1006 // RFC 6455 section 7.4.1
	readBuffer = 4 << 10
)

// appendFrame appends data as a client's text message.
func appendFrame(dst, data []byte) []byte {
	return websocket.AppendMaskedFrame(dst, true, false, websocket.OpText, [4]byte([]byte(mask)), data)
}

// send sends a frame, or several. It may be called on any goroutine, and blocks as
// long as the server does not read. An error shows at the reader too.
func (c *client) send(frame []byte) error {
	_, err := c.conn.Write(frame)
	return err
}

// read reads until the connection ends. rest is what came with the handshake.
func (c *client) read(rest []byte) {
	defer c.end()
	buf := make([]byte, max(readBuffer, len(rest)))
	n := copy(buf, rest)
	for {
		if n > 0 {
			used, ok := c.take(buf[:n], c.now())
			n = copy(buf, buf[used:n])
			if !ok || !c.flush() {
				return
			}
		}
		if p := c.paused.Load(); p != nil {
			<-*p
		}
		k, err := c.conn.Read(buf[n:])
		n += k
		if k == 0 && err != nil {
			return
		}
	}
}

// take looks at the frames that have come. It is false after a close frame.
func (c *client) take(b []byte, now time.Duration) (used int, ok bool) {
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	defer c.player.caughtUp()
	for {
		n, op, data, done := c.frames.next(b[used:])
		used += n
		switch {
		case !done && n == 0:
			return used, true
		case !done:
		case op == websocket.OpPing:
			c.answers = websocket.AppendMaskedFrame(c.answers, true, false, websocket.OpPong, [4]byte([]byte(mask)), data)
		case op == websocket.OpClose:
			c.code = websocket.CloseNoStatus
			if len(data) >= 2 {
				c.code = int(binary.BigEndian.Uint16(data))
			}
			return used, false
		case op.IsControl():
		default:
			h, ours := message.Parse(data)
			if !ours {
				c.other++
				continue
			}
			c.player.received(h, data, now)
		}
	}
}

// flush sends what the player wants sent.
func (c *client) flush() bool {
	if len(c.answers) == 0 {
		return true
	}
	err := c.send(c.answers)
	c.answers = c.answers[:0]
	return err == nil
}

func (c *client) end() {
	_ = c.conn.Close()
	c.shard.mu.Lock()
	c.left = true
	c.player.gone()
	c.shard.mu.Unlock()
	c.ended(c)
}

// play gives the client another player. It may be called on any goroutine.
func (c *client) play(p player) {
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	c.player = p
	if c.left {
		p.gone()
	}
}

// pause has the client stop reading, when it has read once more, until resume.
func (c *client) pause() {
	until := make(chan struct{})
	c.paused.Store(&until)
}

func (c *client) resume() {
	if until := c.paused.Swap(nil); until != nil {
		close(*until)
	}
}

// buffer has the system keep about so many bytes that the client has not read.
func (c *client) buffer(size int) {
	if conn, ok := c.conn.(interface{ SetReadBuffer(int) error }); ok {
		_ = conn.SetReadBuffer(size) // without, it only takes longer until the server notices
	}
}

// leave has the connection end, in the run's own interest.
func (c *client) leave() {
	c.leaving.Store(true)
	c.resume()
	_ = c.conn.Close()
}

// silent is a player that does nothing.
type silent struct{}

func (silent) received(message.Head, []byte, time.Duration) {}
func (silent) caughtUp()                                    {}
func (silent) gone()                                        {}

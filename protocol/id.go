package protocol

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"
)

const (
	nodeSize   = len(Node{})
	uniqIDSize = nodeSize + 4 + 4
	connIDSize = nodeSize + nodeSize + 4

	// Ids that fail to parse come from strangers; an error quotes no more of one than this.
	maxQuoted = 40
)

// Node is an IPv4 address and a port as they stand in ids: 4 bytes and 2, big-endian. A gateway without a task listener
// may use any six bytes of its own instead. The zero value stands for none.
type Node [6]byte

// NodeFromAddr returns the node of an IPv4 address, or of an IPv6 address that maps one. Any other address gives an
// error. It does not judge further: an unspecified address such as 0.0.0.0 makes ids that clients cannot follow back.
func NodeFromAddr(addr netip.AddrPort) (Node, error) {
	ip := addr.Addr().Unmap()
	if !ip.Is4() {
		return Node{}, fmt.Errorf("protocol: ids need an IPv4 address, not %v", addr)
	}
	var n Node
	ip4 := ip.As4()
	copy(n[:], ip4[:])
	binary.BigEndian.PutUint16(n[len(ip4):], addr.Port())
	return n, nil
}

// AddrPort returns the address the node stands for.
func (n Node) AddrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(n[:4])), binary.BigEndian.Uint16(n[4:]))
}

// String returns the address in the form 192.0.2.1:80.
func (n Node) String() string { return n.AddrPort().String() }

// UniqID is the id of one WebSocket connection, known as uniqId on the wire. Values can be compared and serve as map
// keys.
type UniqID struct {
	Node    Node   // the task listener of the gateway that holds the connection
	Time    uint32 // Unix seconds at which the id was made
	Counter uint32 // tells the ids of one node and second apart
}

// ParseUniqID returns the id whose text is s: exactly 28 lower-case hex digits. The error says what is wrong with s.
func ParseUniqID(s string) (UniqID, error) {
	var raw [uniqIDSize]byte
	if err := parseHex(raw[:], "uniqId", s); err != nil {
		return UniqID{}, err
	}
	return UniqID{
		Node:    Node(raw[:nodeSize]),
		Time:    binary.BigEndian.Uint32(raw[nodeSize:]),
		Counter: binary.BigEndian.Uint32(raw[nodeSize+4:]),
	}, nil
}

func (id UniqID) raw() (raw [uniqIDSize]byte) {
	copy(raw[:], id.Node[:])
	binary.BigEndian.PutUint32(raw[nodeSize:], id.Time)
	binary.BigEndian.PutUint32(raw[nodeSize+4:], id.Counter)
	return raw
}

// AppendText appends the text of the id, as String returns it, to b and returns the extended slice. The error is always
// nil. It implements encoding.TextAppender.
func (id UniqID) AppendText(b []byte) ([]byte, error) {
	raw := id.raw()
	return hex.AppendEncode(b, raw[:]), nil
}

// String returns the text of the id: 28 lower-case hex digits.
func (id UniqID) String() string {
	var text [2 * uniqIDSize]byte
	raw := id.raw()
	hex.Encode(text[:], raw[:])
	return string(text[:])
}

// ConnID is the id of one registration of a business process, known as connId on the wire. Values can be compared and
// serve as map keys.
type ConnID struct {
	Worker   Node   // the worker listener of the gateway
	Business Node   // the business process's end of the connection
	Time     uint32 // Unix seconds of the registration
}

// ParseConnID returns the id whose text is s: exactly 32 lower-case hex digits. The error says what is wrong with s.
func ParseConnID(s string) (ConnID, error) {
	var raw [connIDSize]byte
	if err := parseHex(raw[:], "connId", s); err != nil {
		return ConnID{}, err
	}
	return ConnID{
		Worker:   Node(raw[:nodeSize]),
		Business: Node(raw[nodeSize : 2*nodeSize]),
		Time:     binary.BigEndian.Uint32(raw[2*nodeSize:]),
	}, nil
}

func (id ConnID) raw() (raw [connIDSize]byte) {
	copy(raw[:], id.Worker[:])
	copy(raw[nodeSize:], id.Business[:])
	binary.BigEndian.PutUint32(raw[2*nodeSize:], id.Time)
	return raw
}

// AppendText appends the text of the id, as String returns it, to b and returns the extended slice. The error is always
// nil. It implements encoding.TextAppender.
func (id ConnID) AppendText(b []byte) ([]byte, error) {
	raw := id.raw()
	return hex.AppendEncode(b, raw[:]), nil
}

// String returns the text of the id: 32 lower-case hex digits.
func (id ConnID) String() string {
	var text [2 * connIDSize]byte
	raw := id.raw()
	hex.Encode(text[:], raw[:])
	return string(text[:])
}

// UniqIDSource makes uniqIds. All its methods may be called from any goroutine. It never repeats an id before it has
// made 2^32 of them, whatever the clock does; two sources with one node at a time could, so a gateway keeps one.
type UniqIDSource struct {
	node    Node
	now     func() time.Time
	counter atomic.Uint32
}

// NewUniqIDSource returns a source of ids that carry node and the time of now, which is called once for each id, from
// the goroutine that asks for it. A nil now means time.Now. The counter starts at random, so that a gateway restarted
// within a second hardly repeats an id.
func NewUniqIDSource(node Node, now func() time.Time) *UniqIDSource {
	if now == nil {
		now = time.Now
	}
	s := &UniqIDSource{node: node, now: now}
	var seed [4]byte
	rand.Read(seed[:])
	s.counter.Store(binary.BigEndian.Uint32(seed[:]))
	return s
}

// Next returns the text of a new id.
func (s *UniqIDSource) Next() string { return s.NextID().String() }

// NextID returns a new id.
func (s *UniqIDSource) NextID() UniqID {
	return UniqID{Node: s.node, Time: uint32(s.now().Unix()), Counter: s.counter.Add(1)}
}

// parseHex is stricter than encoding/hex: ids are compared as text, so each has one spelling.
func parseHex(dst []byte, kind, s string) error {
	if len(s) != 2*len(dst) {
		return fmt.Errorf("protocol: %s %s has %d characters, want %d", kind, quote(s), len(s), 2*len(dst))
	}
	for i := range len(s) {
		digit, ok := hexDigit(s[i])
		if !ok {
			return fmt.Errorf("protocol: %s %s has %q at offset %d, want a lower-case hex digit", kind, quote(s), s[i:i+1], i)
		}
		dst[i/2] = dst[i/2]<<4 | digit
	}
	return nil
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

func quote(s string) string {
	if len(s) > maxQuoted {
		return fmt.Sprintf("%q...", s[:maxQuoted])
	}
	return fmt.Sprintf("%q", s)
}

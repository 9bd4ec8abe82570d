package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"
)

const (
	// DefaultHeartbeat is the heartbeat text both sides use unless configured otherwise.
	DefaultHeartbeat = "~6YOt5rW35piO~"

	// DefaultLimit is the largest packet, in bytes of command number and body, that a [Reader] or [Writer] created
	// with a limit of 0 lets through: 2 MiB.
	DefaultLimit = 2 << 20
)

const (
	lengthSize = 4
	cmdSize    = 4

	// protobuf itself refuses messages of 2 GiB, and with this limit sizes fit an int on every platform.
	maxLimit = math.MaxInt32 - lengthSize
)

// ErrShortPacket reports a packet too short to hold a command number that is not a heartbeat either. The connection
// should be closed.
var ErrShortPacket = errors.New("protocol: packet too short for a command number")

// PacketTooLargeError reports a packet above the limit of a [Reader] or [Writer], or one too large for the wire.
type PacketTooLargeError struct {
	Size  int64 // bytes of command number and body
	Limit int   // the largest size allowed
}

// Error implements error. It gives both numbers.
func (e *PacketTooLargeError) Error() string {
	return fmt.Sprintf("protocol: packet of %d bytes is above the limit of %d", e.Size, e.Limit)
}

// Packet is one unit of the wire: a command or a heartbeat. The Body of one
// from [Reader.Next] is valid until the next call.
type Packet struct {
	// Cmd is the command number, whether known or not; it is 0 in a heartbeat.
	Cmd Cmd_Number
	// Body is the encoded message of the command, empty in a heartbeat.
	Body []byte

	heartbeat bool
}

// Heartbeat reports whether the packet is a heartbeat, which asks for nothing but that the connection live on.
func (p Packet) Heartbeat() bool { return p.heartbeat }

// Unmarshal decodes the body into m, which is reset first. The message shares no memory with the body. An error names
// the command.
func (p Packet) Unmarshal(m proto.Message) error {
	if err := proto.Unmarshal(p.Body, m); err != nil {
		return fmt.Errorf("protocol: body of %v: %w", p.Cmd, err)
	}
	return nil
}

// AppendPacket appends the packet of command cmd with m as its body and returns the extended slice. A nil m stands for
// an empty body. The message is encoded in place and not kept, so that m may be changed afterwards, but not during the
// call; several goroutines may encode one message at a time. If m cannot be encoded, as when a string in it is not
// UTF-8, or is too large for the wire, dst comes back as it was, with the error.
func AppendPacket(dst []byte, cmd Cmd_Number, m proto.Message) ([]byte, error) {
	return appendPacket(dst, cmd, m, maxLimit)
}

func appendPacket(dst []byte, cmd Cmd_Number, m proto.Message, limit int) ([]byte, error) {
	size := 0
	if m != nil {
		size = proto.Size(m)
	}
	packet, err := appendHeader(dst, cmd, size, limit)
	if err != nil {
		return dst, err
	}
	if m == nil {
		return packet, nil
	}
	body := len(packet)
	packet, err = proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(packet, m)
	if err == nil && len(packet)-body != size {
		err = errors.New("message changed while it was encoded")
	}
	if err != nil {
		return dst, fmt.Errorf("protocol: body of %v: %w", cmd, err)
	}
	return packet, nil
}

// AppendRawPacket appends the packet of command cmd with an encoded body, which is copied, and returns the extended
// slice. It may be called from any goroutine. A body too large for the wire leaves dst as it was, with a
// [*PacketTooLargeError].
func AppendRawPacket(dst []byte, cmd Cmd_Number, body []byte) ([]byte, error) {
	return appendRawPacket(dst, cmd, body, maxLimit)
}

func appendRawPacket(dst []byte, cmd Cmd_Number, body []byte, limit int) ([]byte, error) {
	packet, err := appendHeader(dst, cmd, len(body), limit)
	if err != nil {
		return dst, err
	}
	return append(packet, body...), nil
}

// AppendHeartbeat appends a heartbeat packet and returns the extended slice. The text is copied; an empty one stands
// for [DefaultHeartbeat]. It may be called from any goroutine.
func AppendHeartbeat(dst, heartbeat []byte) []byte {
	if len(heartbeat) == 0 {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(DefaultHeartbeat)))
		return append(dst, DefaultHeartbeat...)
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(heartbeat)))
	return append(dst, heartbeat...)
}

// appendHeader makes room for the whole packet, so that a packet costs at most one allocation.
func appendHeader(dst []byte, cmd Cmd_Number, body, limit int) ([]byte, error) {
	if size := int64(body) + cmdSize; size > int64(limit) {
		return dst, &PacketTooLargeError{Size: size, Limit: limit}
	}
	dst = slices.Grow(dst, lengthSize+cmdSize+body)
	dst = binary.BigEndian.AppendUint32(dst, uint32(body+cmdSize))
	return binary.BigEndian.AppendUint32(dst, uint32(cmd)), nil
}

// limitOf turns the limit a caller gave into one to work with.
func limitOf(limit int) int {
	if limit <= 0 {
		return DefaultLimit
	}
	return min(limit, maxLimit)
}

package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sluicegate/sluice/protocol"
)

// A message between nodes is a header of a fixed size and a body, which for commands
// and their answers is a message of the protocol, protobuf-encoded. Numbers are
// big-endian:
//
//	0  version   1 byte
//	1  kind      1
//	2  flags     2
//	4  command   4  the protocol's number
//	8  node      6  the sender's
//	14 epoch     2  how often the sender's connection had broken at its last sign of life,
//	               in its last 16 bits
//	16 instance  8  the sender's process, at random
//	24 sequence  8  of all that the sender sends, from 1
//	32 question  8  the question's number, in it and in its answers; in a sign of life, how
//	               many messages the sender has sent to all, the sign included
//	40 body
const (
	version    = 1
	headerSize = 40
)

// kind is what a message is for.
type kind byte

const (
	kindTell   kind = 1 + iota // a command that is not answered
	kindAsk                    // a command that is
	kindAnswer                 // to a question
	kindHello                  // a node looks for others
	kindAlive                  // a node is there
	kindLeave                  // a node goes
	kindRecall                 // which of the messages from one number to another could have been mine?
)

// flags of a message.
type flags uint16

const (
	// flagMore says that the sender's next message goes on with the body.
	flagMore flags = 1 << iota
	// flagRest says that the body goes on with that of the message before.
	flagRest
	// flagKeyed says that the body begins with a key, see PublishLatest.
	flagKeyed
	// flagError says that the body begins with an error, behind which the answer
	// may follow.
	flagError
	// flagEstablished says that the sender accepts clients.
	flagEstablished
	// flagAll says that the message went to all.
	flagAll
)

// An identity is one process of a node.
type identity struct {
	node     protocol.Node
	instance uint64
}

// header is what a message begins with.
type header struct {
	kind     kind
	flags    flags
	cmd      protocol.Cmd_Number
	from     identity
	epoch    uint16
	sequence uint64
	question uint64
}

// put writes h to the beginning of b.
func (h *header) put(b []byte) {
	_ = b[headerSize-1]
	b[0], b[1] = version, byte(h.kind)
	binary.BigEndian.PutUint16(b[2:], uint16(h.flags))
	binary.BigEndian.PutUint32(b[4:], uint32(h.cmd))
	copy(b[8:14], h.from.node[:])
	binary.BigEndian.PutUint16(b[14:], h.epoch)
	binary.BigEndian.PutUint64(b[16:], h.from.instance)
	binary.BigEndian.PutUint64(b[24:], h.sequence)
	binary.BigEndian.PutUint64(b[32:], h.question)
}

// mark adds flags to a message.
func mark(b []byte, f flags) {
	binary.BigEndian.PutUint16(b[2:], binary.BigEndian.Uint16(b[2:])|uint16(f))
}

// number writes to a message what is known when it is sent.
func number(b []byte, epoch uint16, sequence, toAll uint64) {
	binary.BigEndian.PutUint16(b[14:], epoch)
	binary.BigEndian.PutUint64(b[24:], sequence)
	if kind(b[1]) == kindAlive {
		binary.BigEndian.PutUint64(b[32:], toAll)
	}
}

var errShort = errors.New("it is shorter than its header")

// open reads a message. The body is a part of it.
func open(b []byte) (h header, body []byte, err error) {
	if len(b) < headerSize {
		return h, nil, errShort
	}
	if b[0] != version {
		return h, nil, fmt.Errorf("it is of version %d, and not of %d", b[0], version)
	}
	h = header{
		kind: kind(b[1]), flags: flags(binary.BigEndian.Uint16(b[2:])),
		cmd:   protocol.Cmd_Number(int32(binary.BigEndian.Uint32(b[4:]))),
		from:  identity{protocol.Node(b[8:14]), binary.BigEndian.Uint64(b[16:])},
		epoch: binary.BigEndian.Uint16(b[14:]), sequence: binary.BigEndian.Uint64(b[24:]), question: binary.BigEndian.Uint64(b[32:]),
	}
	return h, b[headerSize:], nil
}

// cutPrefix takes a text off the beginning of a body, where withPrefix has put it.
func cutPrefix(body []byte) (text string, rest []byte, err error) {
	n, size := binary.Uvarint(body)
	if size <= 0 || n > uint64(len(body)-size) {
		return "", nil, errors.New("it ends within its first field")
	}
	return string(body[size : size+int(n)]), body[size+int(n):], nil
}

// withPrefix appends a text that cutPrefix finds.
func withPrefix(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

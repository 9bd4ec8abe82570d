// Package message is what the clients of a load run, the run itself and its
// handler say to each other: a line of ASCII that begins with a letter for what
// is wanted, then says in hexadecimal when it was due, which of its sender's it
// is and who that is, then perhaps a name, and is filled up to its size.
//
//	g00000000075bcd1500000007000003e8 g12 ...........
//
// What the handler answers, passes on or publishes is what it got, so that each
// recipient can tell how long it took and whether one is missing.
package message

import (
	"bytes"
	"encoding/binary"
	"time"
)

// A Kind says what a message is for.
type Kind byte

// The kinds of messages.
const (
	// Echo comes back to its client.
	Echo Kind = 'e'
	// Who is answered with the client's uniqId as the name.
	Who Kind = 'w'
	// Join subscribes its client to the topic of the name, or several with
	// commas between them, and comes back.
	Join Kind = 'j'
	// Leave ends that, and comes back.
	Leave Kind = 'l'
	// Say is published to the topic of the name.
	Say Kind = 'g'
	// Login gives its client the name as customerId and session, and comes back.
	Login Kind = 'i'
	// Logout takes both away, and comes back.
	Logout Kind = 'o'
	// Push comes from the run, by way of the gateway's task listener.
	Push Kind = 'p'
)

// HeadSize is how many bytes a message has at least.
const HeadSize = 1 + 16 + 8 + 8

// A Head is what every message begins with.
type Head struct {
	Kind Kind
	// Due is when it should have been sent, since the run began.
	Due time.Duration
	// Seq numbers the messages of one sender, from 0.
	Seq uint32
	// From is the sender.
	From uint32
}

// Append appends a message of size bytes to dst, or as many as it needs.
func Append(dst []byte, h Head, name string, size int) []byte {
	begin := len(dst)
	dst = append(dst, byte(h.Kind))
	dst = appendHex(dst, uint64(h.Due), 16)
	dst = appendHex(dst, uint64(h.Seq), 8)
	dst = appendHex(dst, uint64(h.From), 8)
	if name != "" {
		dst = append(dst, ' ')
		dst = append(dst, name...)
		dst = append(dst, ' ')
	}
	for len(dst)-begin < size {
		dst = append(dst, filling[:min(len(filling), size-(len(dst)-begin))]...)
	}
	return dst
}

const filling = "................................................................................................................................"

// Parse reads the head of a message. It is false for what is none, such as a
// greeting of a server that is not ours.
func Parse(data []byte) (Head, bool) {
	if len(data) < HeadSize {
		return Head{}, false
	}
	k := Kind(data[0])
	switch k {
	case Echo, Who, Join, Leave, Say, Login, Logout, Push:
	default:
		return Head{}, false
	}
	high, ok1 := parseHex(data[1:])
	low, ok2 := parseHex(data[9:])
	seq, ok3 := parseHex(data[17:])
	from, ok4 := parseHex(data[25:])
	return Head{Kind: k, Due: time.Duration(uint64(high)<<32 | uint64(low)), Seq: seq, From: from}, ok1 && ok2 && ok3 && ok4
}

// Name is the name in a message, empty if there is none. It is part of data.
func Name(data []byte) []byte {
	if len(data) <= HeadSize || data[HeadSize] != ' ' {
		return nil
	}
	name, _, _ := bytes.Cut(data[HeadSize+1:], []byte{' '})
	return name
}

func appendHex(dst []byte, v uint64, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[v>>shift&15])
	}
	return dst
}

// parseHex reads eight digits at once: a run parses millions of messages a second,
// on the CPU that its clients share.
func parseHex(b []byte) (uint32, bool) {
	const each = 0x0101010101010101
	x := binary.BigEndian.Uint64(b)
	letter := x >> 6 & each // digits begin with 0x3, letters with 0x6
	if x>>4&(each*15) != each*3+letter*3 {
		return 0, false
	}
	nibbles := x&(each*15) + letter*9
	nibbles = (nibbles | nibbles>>4) & 0x00ff00ff00ff00ff
	nibbles = (nibbles | nibbles>>8) & 0x0000ffff0000ffff
	return uint32(nibbles | nibbles>>16), true
}

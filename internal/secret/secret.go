// Package secret is how a business process and a gateway show each other that
// they know a secret, without telling it: the handshake of docs/protocol.md,
// for both ends of it.
package secret

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/sluicegate/sluice/protocol"
)

// MinSize is how many bytes a secret must have. The gateway's proof goes to
// whoever asks for one, and a shorter secret could be guessed from it.
const MinSize = 16

// The listeners, by the names that proofs are made for: one for the task
// listener is worth nothing on the worker listener.
const (
	Worker = "worker"
	Task   = "task"
)

const (
	version = 1

	packetHead = 8 // the length and the command, which is 0
	nonceSize  = 32
	proofSize  = sha256.Size
	helloHead  = packetHead + 1 // which ends in the version
	helloSize  = helloHead + nonceSize
	answerSize = packetHead + nonceSize + proofSize
	proofPack  = packetHead + proofSize
)

var (
	// ErrDiffers says that the other end does not know the secret.
	ErrDiffers = errors.New("the other end does not know the secret")
	// ErrRefused says that the gateway wants another proof, or one at all.
	ErrRefused = errors.New("the gateway refused the secret, or the lack of one")
)

// Check returns an error that says what is wrong with a secret.
func Check(secret string) error {
	if len(secret) < MinSize {
		return fmt.Errorf("has %d bytes; use at least %d, random ones", len(secret), MinSize)
	}
	return nil
}

// Accept is the gateway's side, for a connection on the named listener of which
// nothing has been read. If the peer does not begin with a hello, it returns
// what was read instead, which is never empty then. The error is ErrDiffers if
// the peer's proof is wrong, and otherwise the connection's. Time is bounded by
// the connection's deadline; not a byte is read beyond the handshake.
func Accept(rw io.ReadWriter, secret, listener string) (instead []byte, err error) {
	hello, ok, err := readHello(rw)
	if err != nil || !ok {
		return hello, err
	}
	nonces := append(hello[helloHead:], nonce()...)
	answer := append(packet(answerSize), nonces[nonceSize:]...)
	answer = append(answer, prove(secret, "gateway", listener, nonces)...)
	if _, err := rw.Write(answer); err != nil {
		return nil, err
	}
	var proof [proofPack]byte
	if _, err := io.ReadFull(rw, proof[:]); err != nil {
		return nil, err
	}
	want := append(packet(proofPack), prove(secret, "process", listener, nonces)...)
	if !hmac.Equal(proof[:], want) {
		return nil, ErrDiffers
	}
	return nil, nil
}

// readHello reads a hello, and stops as soon as what comes is none: an existing
// client may send a packet that is shorter, and then wait.
func readHello(r io.Reader) (got []byte, ok bool, err error) {
	want := append(packet(helloSize), version)
	got = make([]byte, 0, helloSize)
	for len(got) < helloSize {
		n, err := r.Read(got[len(got):helloSize])
		got = got[:len(got)+n]
		if k := min(len(got), helloHead); !bytes.Equal(got[:k], want[:k]) {
			return got, false, nil
		}
		if err != nil && len(got) < helloSize {
			if errors.Is(err, io.EOF) && len(got) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, false, err
		}
	}
	return got, true, nil
}

// Refuse tells a peer that it has not proven the secret. That it may get lost,
// as the connection is closed next, is why there is no error.
func Refuse(w io.Writer) { _, _ = w.Write(packet(packetHead)) }

// Refusal reports whether a packet from a gateway is one that Refuse has sent.
func Refusal(p protocol.Packet) bool {
	return p.Cmd == protocol.Cmd_Placeholder && !p.Heartbeat() && len(p.Body) == 0
}

// Prove is the process's side, for a connection to the named listener that
// nothing has been sent over. The error is ErrDiffers if the gateway does not
// know the secret, ErrRefused if it says that this process does not, or says
// what else has happened. Time is bounded by the connection's deadline; not a
// byte is read beyond the handshake.
func Prove(rw io.ReadWriter, secret, listener string) error {
	nonces := nonce()
	hello := append(append(packet(helloSize), version), nonces...)
	if _, err := rw.Write(hello); err != nil {
		return err
	}
	var answer [answerSize]byte
	if _, err := io.ReadFull(rw, answer[:packetHead]); err != nil {
		return fmt.Errorf("no answer to the hello, is there a secret at the other end?: %w", err)
	}
	switch {
	case bytes.Equal(answer[:packetHead], packet(packetHead)):
		return ErrRefused
	case !bytes.Equal(answer[:packetHead], packet(answerSize)):
		return errors.New("the hello was not answered as by a gateway")
	}
	if _, err := io.ReadFull(rw, answer[packetHead:]); err != nil {
		return err
	}
	nonces = append(nonces, answer[packetHead:packetHead+nonceSize]...)
	if !hmac.Equal(answer[packetHead+nonceSize:], prove(secret, "gateway", listener, nonces)) {
		return ErrDiffers
	}
	_, err := rw.Write(append(packet(proofPack), prove(secret, "process", listener, nonces)...))
	return err
}

// packet is the beginning of a packet of the size given, with room for the rest.
func packet(size int) []byte {
	b := make([]byte, packetHead, size)
	binary.BigEndian.PutUint32(b, uint32(size-packetHead/2))
	return b
}

func nonce() []byte {
	b := make([]byte, nonceSize, 2*nonceSize)
	_, _ = rand.Read(b) // it does not return without
	return b
}

// prove returns the proof of one side. Only the nonces, the process's first,
// are of variable content, and their sizes are fixed: no two proofs are over
// the same bytes.
func prove(secret, side, listener string, nonces []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte("sluice/1 " + side + " " + listener))
	h.Write(nonces)
	return h.Sum(nil)
}

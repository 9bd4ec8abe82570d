package secret_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sluicegate/sluice/internal/secret"
	"github.com/sluicegate/sluice/protocol"
)

const known = "correct horse battery staple"

// wire is both ends of a connection.
func wire(t *testing.T) (process, gateway net.Conn) {
	t.Helper()
	process, gateway = net.Pipe()
	for _, c := range []net.Conn{process, gateway} {
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		t.Cleanup(func() { c.Close() })
	}
	return process, gateway
}

type accepted struct {
	instead []byte
	err     error
}

// accept runs the gateway's side, which closes the connection after an error.
func accept(c net.Conn, key, listener string) <-chan accepted {
	done := make(chan accepted, 1)
	go func() {
		instead, err := secret.Accept(c, key, listener)
		if err != nil {
			c.Close()
		}
		done <- accepted{instead, err}
	}()
	return done
}

func TestBothKnowIt(t *testing.T) {
	for _, listener := range []string{secret.Worker, secret.Task} {
		process, gateway := wire(t)
		done := accept(gateway, known, listener)
		if err := secret.Prove(process, known, listener); err != nil {
			t.Fatalf("%s: %v", listener, err)
		}
		if got := <-done; got.err != nil || got.instead != nil {
			t.Errorf("%s: %+v", listener, got)
		}
		// Nothing was read of what comes after.
		go func() { _, _ = process.Write([]byte("next")) }()
		next := make([]byte, 4)
		if _, err := io.ReadFull(gateway, next); err != nil || string(next) != "next" {
			t.Errorf("%s: %q, %v", listener, next, err)
		}
	}
}

func TestOneDoesNotKnowIt(t *testing.T) {
	for name, tc := range map[string]struct{ process, gateway, listener string }{
		"another secret":   {"incorrect horse battery", known, secret.Worker},
		"another listener": {known, known, secret.Task},
	} {
		t.Run(name, func(t *testing.T) {
			process, gateway := wire(t)
			done := accept(gateway, tc.gateway, secret.Worker)
			if err := secret.Prove(process, tc.process, tc.listener); !errors.Is(err, secret.ErrDiffers) {
				t.Errorf("the process: %v", err)
			}
			process.Close() // it has not given its own proof
			if got := <-done; !errors.Is(got.err, io.EOF) {
				t.Errorf("the gateway: %+v", got)
			}
		})
	}
}

// made makes a packet of command 0.
func made(t testing.TB, body []byte) []byte {
	t.Helper()
	b, err := protocol.AppendRawPacket(nil, 0, body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mac is a proof, made by what the document says.
func mac(key, label string, nonces ...[]byte) []byte {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(label))
	for _, n := range nonces {
		h.Write(n)
	}
	return h.Sum(nil)
}

// The bytes are those of docs/protocol.md, here made by another way.
func TestDocumentedHandshake(t *testing.T) {
	mine := bytes.Repeat([]byte{7}, 32)
	for name, tc := range map[string]struct {
		proof func(theirs, answer []byte) []byte
		want  error
	}{
		"right":               {func(theirs, _ []byte) []byte { return mac(known, "sluice/1 process task", mine, theirs) }, nil},
		"another secret":      {func(theirs, _ []byte) []byte { return mac("x"+known, "sluice/1 process task", mine, theirs) }, secret.ErrDiffers},
		"another listener":    {func(theirs, _ []byte) []byte { return mac(known, "sluice/1 process worker", mine, theirs) }, secret.ErrDiffers},
		"the gateway's own":   {func(_, answer []byte) []byte { return answer }, secret.ErrDiffers},
		"nonces changed over": {func(theirs, _ []byte) []byte { return mac(known, "sluice/1 process task", theirs, mine) }, secret.ErrDiffers},
		"nothing":             {func([]byte, []byte) []byte { return make([]byte, 32) }, secret.ErrDiffers},
	} {
		t.Run(name, func(t *testing.T) {
			process, gateway := wire(t)
			done := accept(gateway, known, secret.Task)
			if _, err := process.Write(made(t, append([]byte{1}, mine...))); err != nil {
				t.Fatal(err)
			}
			answer := make([]byte, 72)
			if _, err := io.ReadFull(process, answer); err != nil {
				t.Fatal(err)
			}
			theirs, proof := answer[8:40], answer[40:]
			if !bytes.Equal(answer[:8], made(t, make([]byte, 64))[:8]) || !bytes.Equal(proof, mac(known, "sluice/1 gateway task", mine, theirs)) {
				t.Errorf("answer % x", answer)
			}
			if _, err := process.Write(made(t, tc.proof(theirs, proof))); err != nil {
				t.Fatal(err)
			}
			if got := <-done; !errors.Is(got.err, tc.want) {
				t.Errorf("%+v, want %v", got, tc.want)
			}
		})
	}
}

// No two handshakes have the same nonces, so that no proof is good for another.
func TestNoncesAreFresh(t *testing.T) {
	seen := make(map[string]bool)
	for range 100 {
		var out bytes.Buffer
		hello := made(t, append([]byte{1}, make([]byte, 32)...))
		_, err := secret.Accept(&half{bytes.NewReader(hello), &out}, known, secret.Task)
		if !errors.Is(err, io.EOF) || seen[string(out.Bytes()[8:40])] {
			t.Fatalf("%v, nonce % x", err, out.Bytes()[8:40])
		}
		seen[string(out.Bytes()[8:40])] = true
	}
}

// half is a connection whose ends are apart.
type half struct {
	io.Reader
	io.Writer
}

// What is no hello comes back whole, and is not waited for beyond the byte that
// shows it.
func TestInstead(t *testing.T) {
	hello := made(t, append([]byte{1}, make([]byte, 32)...))
	cases := map[string][]byte{
		"a register":          {0, 0, 0, 6, 0x35, 0xa4, 0xf4, 0xb9, 8, 7},
		"a short heartbeat":   {0, 0, 0, 1, 'w'},
		"a heartbeat as long": append([]byte{0, 0, 0, 37}, strings.Repeat("h", 37)...),
		"another version":     append(bytes.Clone(hello[:8]), 2),
		"HTTP":                []byte("GET / HTTP/1.1\r\n"),
	}
	for i := range 9 { // a hello with one byte wrong
		b := bytes.Clone(hello)
		b[i] ^= 0x80
		cases["wrong at "+string(rune('0'+i))] = b
	}
	for name, sent := range cases {
		for how, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader,
		} {
			src := wrap(io.MultiReader(bytes.NewReader(sent), iotest.ErrReader(errors.New("read on"))))
			instead, err := secret.Accept(&half{src, io.Discard}, known, secret.Worker)
			rest, _ := io.ReadAll(src)
			if err != nil || len(instead) == 0 || !bytes.Equal(append(instead, rest...), sent) {
				t.Errorf("%s, %s: % x, %v", name, how, instead, err)
			}
		}
	}
	for n := range hello {
		_, err := secret.Accept(&half{bytes.NewReader(hello[:n]), io.Discard}, known, secret.Worker)
		if want := map[bool]error{true: io.EOF, false: io.ErrUnexpectedEOF}[n == 0]; !errors.Is(err, want) {
			t.Errorf("%d bytes of a hello: %v, want %v", n, err, want)
		}
	}
}

// A process hears why it is not let in, and gives no proof to an impostor.
func TestAnswersThatAreNone(t *testing.T) {
	for name, tc := range map[string]struct {
		answer []byte
		want   string
	}{
		"a refusal":     {made(t, nil), secret.ErrRefused.Error()},
		"an impostor's": {made(t, make([]byte, 64)), secret.ErrDiffers.Error()},
		"another thing": {made(t, make([]byte, 5)), "not answered as by a gateway"},
		"nothing":       {nil, "no answer to the hello"},
		"half of it":    {made(t, make([]byte, 64))[:20], io.ErrUnexpectedEOF.Error()},
	} {
		var sent bytes.Buffer
		err := secret.Prove(&half{bytes.NewReader(tc.answer), &sent}, known, secret.Task)
		if err == nil || !strings.Contains(err.Error(), tc.want) || sent.Len() != 41 {
			t.Errorf("%s: %v after %d bytes, want something of %q", name, err, sent.Len(), tc.want)
		}
	}
}

func TestRefuse(t *testing.T) {
	var out bytes.Buffer
	secret.Refuse(&out)
	p, err := protocol.NewReader(&out, 0, nil).Next()
	if err != nil || !secret.Refusal(p) {
		t.Errorf("%+v, %v", p, err)
	}
	if secret.Refusal(protocol.Packet{Body: []byte{1}}) || secret.Refusal(protocol.Packet{Cmd: 1}) {
		t.Error("other packets pass for a refusal")
	}
	p, err = protocol.NewReader(bytes.NewReader(protocol.AppendHeartbeat(nil, nil)), 0, nil).Next()
	if err != nil || secret.Refusal(p) {
		t.Errorf("a heartbeat passes for a refusal, or %v", err)
	}
}

// A peer that stops in the middle is not waited for beyond the deadline.
func TestDeadline(t *testing.T) {
	process, gateway := wire(t)
	_ = gateway.SetDeadline(time.Now().Add(20 * time.Millisecond))
	done := accept(gateway, known, secret.Worker)
	_, _ = process.Write([]byte{0, 0})
	if got := <-done; !errors.Is(got.err, os.ErrDeadlineExceeded) {
		t.Errorf("%+v", got)
	}
}

func TestCheck(t *testing.T) {
	if err := secret.Check(strings.Repeat("x", 15)); err == nil || strings.Contains(err.Error(), "xx") {
		t.Errorf("a short one: %v", err)
	}
	if err := secret.Check(strings.Repeat("x", 16)); err != nil {
		t.Error(err)
	}
}

// FuzzAccept throws bytes at the gateway's side: it reads no more than the
// handshake has, and takes nothing for a proof.
func FuzzAccept(f *testing.F) {
	hello := made(f, append([]byte{1}, make([]byte, 32)...))
	f.Add(hello)
	f.Add(append(bytes.Clone(hello), made(f, make([]byte, 32))...))
	f.Add([]byte{0, 0, 0, 6, 0x35, 0xa4, 0xf4, 0xb9, 8, 7})
	f.Fuzz(func(t *testing.T, sent []byte) {
		src := bytes.NewReader(sent)
		instead, err := secret.Accept(&half{src, io.Discard}, known, secret.Worker)
		read := len(sent) - src.Len()
		switch {
		case read > 41+40:
			t.Fatalf("%d bytes were read", read)
		case err == nil && (len(instead) == 0 || !bytes.Equal(instead, sent[:read])):
			t.Fatalf("% x passed for a proof, or not all of it came back: % x", sent, instead)
		}
	})
}

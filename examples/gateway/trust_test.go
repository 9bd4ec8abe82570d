package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/internal/certs"
	"github.com/sluicegate/sluice/internal/secret"
	"github.com/sluicegate/sluice/protocol"
)

const known = "correct horse battery staple"

// write makes a file in the test's directory.
func write(t *testing.T, dir, name string, text []byte) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestTrustReachesTheListeners has a listener for all addresses, with a secret
// out of a file, and one that speaks TLS to those with a certificate.
func TestTrustReachesTheListeners(t *testing.T) {
	dir, authority := t.TempDir(), certs.New(t)
	cert, key := authority.Files()
	s := start(t, anyPort("-Worker.ListenAddress", "0.0.0.0:0", "-Worker.SecretFile", write(t, dir, "secret", []byte(known+"\r\n")),
		"-Task.ListenAddress", "0.0.0.0:0", "-Task.TLSCert", write(t, dir, "cert", cert), "-Task.TLSKey", write(t, dir, "key", key),
		"-Task.TLSClientCA", write(t, dir, "ca", authority.PEM), "-Worker.TrustedNetworks", "10.0.0.0/8,fd00::/8")...)
	local := func(addr string) string { return "127.0.0.1" + addr[strings.LastIndexByte(addr, ':'):] }

	worker := dialBusiness(t, local(s.worker))
	if err := secret.Prove(worker, known, secret.Worker); err != nil {
		t.Fatal(err)
	}
	worker.send(t, protocol.Cmd_Register, &protocol.RegisterReq{Events: 7})
	var registered protocol.RegisterResp
	worker.next(t, protocol.Cmd_Register, &registered)

	task := dialBusiness(t, local(s.task))
	task.Conn = tls.Client(task.Conn, &tls.Config{
		RootCAs: authority.Pool, Certificates: []tls.Certificate{authority.Certificate()}, ServerName: "127.0.0.1",
	})
	task.r = protocol.NewReader(task.Conn, 0, nil)
	task.send(t, protocol.Cmd_UniqIdCount, nil)
	task.next(t, protocol.Cmd_UniqIdCount, new(protocol.UniqIdCountResp))

	stranger := dialBusiness(t, local(s.task))
	stranger.send(t, protocol.Cmd_UniqIdCount, nil)
	if p, err := stranger.r.Next(); err == nil {
		t.Errorf("a stranger was answered %v", p.Cmd)
	}
	if log := s.log.String(); strings.Contains(log, known) || strings.Contains(log, "beyond this computer") {
		t.Errorf("log:\n%s", log)
	}
}

// What is wrong with a file is said with its key before anything runs.
func TestTrustFiles(t *testing.T) {
	dir, authority := t.TempDir(), certs.New(t)
	cert, key := authority.Files()
	certFile, keyFile := write(t, dir, "cert", cert), write(t, dir, "key", key)
	empty, missing := write(t, dir, "empty", []byte("\n")), filepath.Join(dir, "missing")
	for want, args := range map[string][]string{
		"Worker.SecretFile: open " + missing:                                         {"-Worker.SecretFile", missing},
		"Task.SecretFile: " + empty + " has no secret in it":                         {"-Task.SecretFile", empty},
		"Task.SecretFile: what is in " + dir + "/short has 5 bytes; use at least 16": {"-Task.SecretFile", write(t, dir, "short", []byte("horse"))},
		"Task.TLSCert and TLSKey: ":                                                  {"-Task.TLSCert", certFile, "-Task.TLSKey", certFile},
		"Task.TLSClientCA: open " + missing:                                          {"-Task.TLSCert", certFile, "-Task.TLSKey", keyFile, "-Task.TLSClientCA", missing},
		"Worker.TLSClientCA: there is no certificate in " + empty:                    {"-Worker.TLSCert", certFile, "-Worker.TLSKey", keyFile, "-Worker.TLSClientCA", empty},
		"Task.ListenAddress is \"0.0.0.0:0\", which other computers":                 {"-Task.ListenAddress", "0.0.0.0:0"},
	} {
		err := run(t.Context(), anyPort(args...), nil, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "horse") {
			t.Errorf("%v, want something of %q", err, want)
		}
	}
}

func TestPrintHidesTheSecret(t *testing.T) {
	var out, log bytes.Buffer
	for _, how := range []string{"-print", "-check"} {
		if err := run(t.Context(), []string{how, "-Worker.Secret", known}, []string{"SLUICE_TASK_SECRET=" + known}, &out, &log); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(out.String()+log.String(), known) {
		t.Error(out.String())
	}
}

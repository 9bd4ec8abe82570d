package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/internal/certs"
	"github.com/sluicegate/sluice/protocol"
)

// get asks the admin address, with the token if it is not empty.
func (s server) get(t *testing.T, path, token string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.admin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// Operators see the gateway, all parts of it, if they know the token.
func TestAdmin(t *testing.T) {
	s := start(t, anyPort("-Admin.ListenAddress", "127.0.0.1:0", "-Admin.Token", known, "-Admin.Actions", "-Limit.OnOpen", "50")...)
	for path, want := range map[string]struct{ without, with int }{
		"/healthz": {200, 200}, "/readyz": {200, 200}, "/": {200, 200}, "/nothing": {404, 404},
		"/metrics": {401, 200}, "/debug/pprof/": {401, 200}, "/debug/pprof/goroutine?debug=1": {401, 200},
	} {
		if status, body := s.get(t, path, ""); status != want.without {
			t.Errorf("%s without the token: %d %s", path, status, body)
		}
		if status, body := s.get(t, path, known); status != want.with {
			t.Errorf("%s with the token: %d %s", path, status, body)
		}
	}
	w := dialBusiness(t, s.worker)
	w.send(t, protocol.Cmd_Register, &protocol.RegisterReq{Events: 7})
	w.next(t, protocol.Cmd_Register, new(protocol.RegisterResp))
	s.dial(t)
	w.next(t, protocol.Cmd_ConnOpen, new(protocol.ConnOpen))
	_, body := s.get(t, "/metrics", known)
	for _, want := range []string{
		"sluice_clients 1", "sluice_ready 1", "sluice_business_processes 1", "sluice_business_events_sent_total 1",
		`sluice_limiter_rate{limit="onOpen"} 50`, `sluice_handler_duration_seconds_count{event="open"} 1`, "process_open_fds ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %s:\n%s", want, body)
		}
	}
}

// What is wrong with the address for operators says so before anything starts.
func TestAdminErrors(t *testing.T) {
	taken := start(t, anyPort("-Admin.ListenAddress", ":0")...)
	_, addr, _ := strings.Cut(taken.admin, "://")
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"a port that is taken": {[]string{"-Admin.ListenAddress", addr}, "Admin.ListenAddress: admin: listen tcp"},
		"no such file":         {[]string{"-Admin.ListenAddress", ":0", "-Admin.TokenFile", "nowhere"}, "Admin.TokenFile: "},
		"no such certificate":  {[]string{"-Admin.ListenAddress", ":0", "-Admin.TLSCert", "nowhere", "-Admin.TLSKey", "nowhere"}, "Admin.TLSCert and TLSKey: "},
	} {
		if err := run(t.Context(), anyPort(tt.args...), nil, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// Operators get another certificate on SIGHUP, and nobody is dropped for it.
func TestAdminCertificate(t *testing.T) {
	dir := t.TempDir()
	files := func() (cert, key string) {
		c, k := certs.New(t).Files()
		return write(t, dir, "cert", c), write(t, dir, "key", k)
	}
	cert, key := files()
	s := start(t, anyPort("-Admin.ListenAddress", "127.0.0.1:0", "-Admin.TLSCert", cert, "-Admin.TLSKey", key)...)
	_, addr, _ := strings.Cut(s.admin, "://")
	shown := func() []byte {
		t.Helper()
		c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].Raw
	}
	if status, body := s.get(t, "/readyz", ""); status != 200 || !strings.HasPrefix(s.admin, "https://") {
		t.Errorf("%s: %d %s", s.admin, status, body)
	}
	client, first := s.dial(t), shown()
	files()
	wantLog(t, s.hangUp(t), `msg="certificate changed" key=Admin.TLSCert was="sha256:`, "changed=0 needRestart=0")
	if second := shown(); bytes.Equal(first, second) {
		t.Error("the certificate of before is shown")
	}
	task := dialBusiness(t, s.task)
	awaitListed(t, task)
	broadcastReaches(t, task, client, "still there")
}

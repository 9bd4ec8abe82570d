package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/sluicegate/sluice/examples/gateway/config"
	"github.com/sluicegate/sluice/internal/certs"
	"github.com/sluicegate/sluice/internal/natstest"
)

// A gateway shows NATS what its files say.
func TestLetInByNATS(t *testing.T) {
	dir, authority := t.TempDir(), certs.New(t)
	c, k := authority.Files()
	ca, cert, key := write(t, dir, "ca", authority.PEM), write(t, dir, "cert", c), write(t, dir, "key", k)
	secret, wrong := write(t, dir, "secret", []byte("horse\n")), write(t, dir, "wrong", []byte("cow\n"))
	for name, tt := range map[string]struct {
		nats   func(*natsserver.Options)
		with   []string
		refuse []string // instead
	}{
		"a token": {
			func(o *natsserver.Options) { o.Authorization = "horse" },
			[]string{"-Cluster.TokenFile", secret}, []string{"-Cluster.TokenFile", wrong},
		},
		"a password": {
			func(o *natsserver.Options) { o.Username, o.Password = "me", "horse" },
			[]string{"-Cluster.User", "me", "-Cluster.PasswordFile", secret}, []string{"-Cluster.User", "me", "-Cluster.PasswordFile", wrong},
		},
		"a certificate": {
			func(o *natsserver.Options) {
				o.TLS, o.TLSVerify, o.TLSTimeout = true, true, 5
				o.TLSConfig = &tls.Config{
					Certificates: []tls.Certificate{authority.Certificate()}, ClientCAs: authority.Pool,
					ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
				}
			},
			[]string{"-Cluster.TLSCA", ca, "-Cluster.TLSCert", cert, "-Cluster.TLSKey", key}, []string{"-Cluster.TLSCA", ca},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := natstest.Start(t, tt.nats)
			url := "nats://" + s.Addr().String()
			start(t, inCluster(url, tt.with...)...)
			if n := s.NumClients(); n != 1 {
				t.Errorf("NATS has %d clients", n)
			}
			var log buffer
			err := run(t.Context(), inCluster(url, tt.refuse...), nil, io.Discard, &log)
			if err == nil || !strings.HasPrefix(err.Error(), "gateway: Config.Cluster: Cluster.Servers: ") {
				t.Errorf("with others: %v", err)
			}
			if text := fmt.Sprint(err) + log.String(); strings.Contains(text, "horse") || strings.Contains(text, "cow") {
				t.Errorf("a secret is shown: %s", text)
			}
		})
	}
}

// A user of NATS who may do no more than docs/cluster.md says is enough.
func TestLeastPermissions(t *testing.T) {
	own := &natsserver.SubjectPermission{Allow: []string{"sluice.edge.>"}}
	nats := natstest.Start(t, func(o *natsserver.Options) {
		o.Users = []*natsserver.User{{Username: "gateway", Password: "horse", Permissions: &natsserver.Permissions{Publish: own, Subscribe: own}}}
	})
	here, there := startTwoOn(t, nats.ClientURL(), "-Cluster.Name", "edge", "-Cluster.Whole",
		"-Cluster.User", "gateway", "-Cluster.PasswordFile", write(t, t.TempDir(), "password", []byte("horse")))
	reachAll(t, dialPeer(t, here.task), here, there)
	if log := here.log.String() + there.log.String(); strings.Contains(log, "cluster trouble") {
		t.Errorf("the log has:\n%s", log)
	}
}

// What is wrong with a cluster is said with its key, before anybody is let in.
func TestClusterErrors(t *testing.T) {
	dir := t.TempDir()
	empty, missing := write(t, dir, "empty", []byte("\n")), filepath.Join(dir, "missing")
	url := natstest.Start(t).ClientURL()
	const node = "10.0.0.1:6062"
	start(t, inCluster(url, "-Task.Advertise", node)...)
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no NATS":         {inCluster("nats://127.0.0.1:1"), "gateway: Config.Cluster: Cluster.Servers: cluster: NATS at nats://127.0.0.1:1: "},
		"two of one node": {inCluster(url, "-Task.Advertise", node), ": it is Task.Advertise, or Task.ListenAddress without one"},
		"no credentials":  {inCluster(url, "-Cluster.CredentialsFile", missing), "Cluster.CredentialsFile: "},
		"no JWT":          {inCluster(url, "-Cluster.CredentialsFile", empty), "Cluster.CredentialsFile: "},
		"no password":     {inCluster(url, "-Cluster.User", "me", "-Cluster.PasswordFile", missing), "Cluster.PasswordFile: open " + missing},
		"no token":        {inCluster(url, "-Cluster.TokenFile", empty), "Cluster.TokenFile: " + empty + " has no secret in it"},
		"no authority":    {inCluster(url, "-Cluster.TLSCA", missing), "Cluster.TLSCA: "},
		"no certificate":  {inCluster(url, "-Cluster.TLSCert", empty, "-Cluster.TLSKey", empty), "Cluster.TLSCert and TLSKey: "},
		"a port":          {inCluster(url, "-Customer.ListenAddress", "192.0.2.1:1"), "Customer.ListenAddress: "},
	} {
		err := run(t.Context(), tt.args, nil, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Count(err.Error(), "Address: ") > strings.Count(tt.want, "Address: ") {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// With Retry, a gateway serves its own clients until NATS is there.
func TestClusterRetry(t *testing.T) {
	s := start(t, inCluster("nats://127.0.0.1:1", "-Cluster.Retry", "-Cluster.Whole", "-Admin.ListenAddress", "127.0.0.1:0")...)
	client, task := s.dial(t), dialBusiness(t, s.task)
	awaitListed(t, task)
	broadcastReaches(t, task, client, "all there are")
	if status, body := s.get(t, "/readyz", ""); status != 200 {
		t.Errorf("/readyz: %d %s", status, body)
	}
}

// Files are read again for another connection, and what they said before does if they
// cannot be.
func TestNATSFilesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	// The seed is all zeros but for what says whose it is.
	jwt := func(text string) []byte {
		return []byte("-----BEGIN NATS USER JWT-----\n" + text + "\n------END NATS USER JWT------\n" +
			"-----BEGIN USER NKEY SEED-----\nSUAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEQ\n------END USER NKEY SEED------\n")
	}
	creds, secret := write(t, dir, "creds", jwt("a.b.c")), write(t, dir, "secret", []byte("horse"))
	said := func(c config.Cluster) func() string {
		t.Helper()
		opts, err := natsOptions(c)
		must(t, err)
		var o nats.Options
		for _, opt := range opts {
			must(t, opt(&o))
		}
		return func() string {
			switch {
			case o.UserJWT != nil:
				text, err := o.UserJWT()
				must(t, err)
				return text
			case o.UserInfo != nil:
				user, password := o.UserInfo()
				return user + ":" + password
			}
			return o.TokenHandler()
		}
	}
	byCreds := said(config.Cluster{CredentialsFile: creds})
	byUser := said(config.Cluster{User: "me", PasswordFile: secret})
	byToken := said(config.Cluster{TokenFile: secret})
	expect := func(want ...string) {
		t.Helper()
		for i, got := range []string{byCreds(), byUser(), byToken()} {
			if got != want[i] {
				t.Errorf("it says %q, want %q", got, want[i])
			}
		}
	}
	expect("a.b.c", "me:horse", "horse")
	write(t, dir, "creds", jwt("d.e.f"))
	write(t, dir, "secret", []byte("cow"))
	expect("d.e.f", "me:cow", "cow")
	must(t, os.Remove(secret))
	expect("d.e.f", "me:cow", "cow")
}

// A gateway that runs stays in its cluster, and says which keys need a restart.
func TestReloadOfACluster(t *testing.T) {
	url := natstest.Start(t).ClientURL()
	text := "[Cluster]\nServers = [\"" + url + "\"]\n"
	s, reload := configured(t, text)
	wantLog(t, reload(text+"Whole = true\n[Limit]\nOnOpen = 5\n"),
		`level=WARN msg="restart needed" key=Cluster.Whole`, "key=Limit.OnOpen was=0 now=5", "changed=1 needRestart=1")
	wantLog(t, reload("LogLevel = \"info\"\n"), `level=WARN msg="restart needed" key=Cluster.Servers`, "changed=1 needRestart=1")
	wantLog(t, reload("[Cluster]\nServers = [\"http://x\"]\n"), "f.toml:2: Cluster.Servers has", "reload rejected")
	task := dialBusiness(t, s.task)
	client := s.dial(t)
	awaitListed(t, task)
	broadcastReaches(t, task, client, "still there")
}

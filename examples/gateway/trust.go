package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/examples/gateway/config"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/secret"
)

// trust is what a section says about who is let in.
type trust struct {
	section                        string
	secret, secretFile             string
	secretKey                      string // of secretFile
	networks                       []string
	certFile, keyFile, clientsFile string
	anyone                         bool
}

func workerTrust(w config.Worker) trust {
	return trust{"Worker", w.Secret, w.SecretFile, "Worker.SecretFile", w.TrustedNetworks, w.TLSCert, w.TLSKey, w.TLSClientCA, w.InsecureAllowAnyone}
}

func taskTrust(t config.Task) trust {
	return trust{"Task", t.Secret, t.SecretFile, "Task.SecretFile", t.TrustedNetworks, t.TLSCert, t.TLSKey, t.TLSClientCA, t.InsecureAllowAnyone}
}

func adminTrust(a config.Admin) trust {
	return trust{section: "Admin", secret: a.Token, secretFile: a.TokenFile, secretKey: "Admin.TokenFile", certFile: a.TLSCert, keyFile: a.TLSKey}
}

// apply reads the files and tells the listener, which speaks TLS by what p has in
// it if there is a certificate. Errors name the key.
func (t trust) apply(l *remote.Listener, p *papers) error {
	l.InsecureAllowAnyone, l.Trusted = t.anyone, config.Networks(t.networks)
	var err error
	if l.Secret, err = t.known(); err != nil {
		return err
	}
	id, err := t.identity()
	if err != nil || id == nil {
		return err
	}
	p.now.Store(id)
	l.TLS = id.config.Clone()
	l.TLS.GetConfigForClient = p.config
	return nil
}

// known returns the secret, out of the file if it is in one.
func (t trust) known() (string, error) {
	if t.secretFile == "" {
		return t.secret, nil
	}
	s, err := secret.ReadFile(t.secretFile)
	if err == nil {
		if wrong := secret.Check(s); wrong != nil {
			err = fmt.Errorf("what is in %s %w", t.secretFile, wrong)
		}
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", t.secretKey, err)
	}
	return s, nil
}

// identity is what a section's files of TLS say.
type identity struct {
	config *tls.Config
	// What the files have in them, for the log; clients is empty without one.
	cert, clients string
}

// papers have the identity in force, by which handshakes go from then on.
type papers struct{ now atomic.Pointer[identity] }

func (p *papers) config(*tls.ClientHelloInfo) (*tls.Config, error) { return p.now.Load().config, nil }

// renewed reads the files again that are in force. It reads nothing for a listener
// without TLS, and nothing where next waits for a restart: files may be gone.
func (p *papers) renewed(t, next trust) (*identity, error) {
	is := p.now.Load()
	if is == nil || waits(t.certFile, next.certFile) || waits(t.clientsFile, next.clientsFile) {
		return is, nil
	}
	return t.identity()
}

// renewed is the same for the secret, which is the one that is given.
func (t trust) renewed(is string, next trust) (string, error) {
	if is == "" || waits(t.secretFile, next.secretFile) {
		return is, nil
	}
	return t.known()
}

// waits reports whether the name of a file waits for a restart.
func waits(inForce, next string) bool { return (inForce == "") != (next == "") }

// identity reads the files. It returns nil if the section has no certificate.
func (t trust) identity() (*identity, error) {
	if t.certFile == "" {
		return nil, nil //nolint:nilnil // no TLS is what was asked for
	}
	cert, err := tls.LoadX509KeyPair(t.certFile, t.keyFile)
	if err != nil {
		return nil, fmt.Errorf("%s.TLSCert and TLSKey: %w", t.section, err)
	}
	id := &identity{
		config: &tls.Config{
			Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12,
			// A ticket would let in whom another authority has vouched for.
			SessionTicketsDisabled: true,
		},
		cert: digest(cert.Certificate[0]) + " until " + cert.Leaf.NotAfter.UTC().Format(time.RFC3339),
	}
	if t.clientsFile == "" {
		return id, nil
	}
	text, err := os.ReadFile(t.clientsFile)
	id.config.ClientAuth, id.config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	if err == nil && !id.config.ClientCAs.AppendCertsFromPEM(text) {
		err = errors.New("there is no certificate in " + t.clientsFile)
	}
	if err != nil {
		return nil, fmt.Errorf("%s.TLSClientCA: %w", t.section, err)
	}
	id.clients = digest(text)
	return id, nil
}

// digest tells files apart.
func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return fmt.Sprintf("sha256:%x", sum[:8])
}

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/sluicegate/sluice/examples/gateway/config"
	"github.com/sluicegate/sluice/hooks/remote"
	"github.com/sluicegate/sluice/internal/secret"
)

// trust is what a section says about who is let in.
type trust struct {
	secret, secretFile             string
	networks                       []string
	certFile, keyFile, clientsFile string
	anyone                         bool
}

// apply reads the files and tells the listener. Errors name the key.
func (t trust) apply(section string, l *remote.Listener) error {
	l.Secret, l.InsecureAllowAnyone = t.secret, t.anyone
	l.Trusted = config.Networks(t.networks)
	if t.secretFile != "" {
		var err error
		if l.Secret, err = secret.ReadFile(t.secretFile); err != nil {
			return fmt.Errorf("%s.SecretFile: %w", section, err)
		}
	}
	if t.certFile == "" {
		return nil
	}
	cert, err := tls.LoadX509KeyPair(t.certFile, t.keyFile)
	if err != nil {
		return fmt.Errorf("%s.TLSCert and TLSKey: %w", section, err)
	}
	l.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if t.clientsFile == "" {
		return nil
	}
	text, err := os.ReadFile(t.clientsFile)
	l.TLS.ClientAuth, l.TLS.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	if err == nil && !l.TLS.ClientCAs.AppendCertsFromPEM(text) {
		err = errors.New("there is no certificate in " + t.clientsFile)
	}
	if err != nil {
		return fmt.Errorf("%s.TLSClientCA: %w", section, err)
	}
	return nil
}

package config

import (
	"errors"
	"net/url"
	"strings"
)

// judgeNATS judges the address of a server, which NATS takes without a scheme too.
func judgeNATS(s string) error {
	const use = "it must be an address of NATS such as \"nats://10.0.0.9:4222\", or with tls, ws or wss in the place of nats"
	if strings.Contains(s, "@") {
		return errors.New("it must not say by whom; set Cluster.CredentialsFile, Cluster.TokenFile, or Cluster.User and Cluster.PasswordFile")
	}
	if !strings.Contains(s, "://") {
		s = "nats://" + s
	}
	u, err := url.Parse(s)
	switch {
	case err != nil, u.Scheme != "nats" && u.Scheme != "tls" && !overHTTP(s):
		return errors.New(use)
	case !validHost(u.Hostname()), u.Port() != "" && (!validPort(u.Port()) || u.Port() == "0"):
		return errors.New(use)
	case u.RawQuery != "" || u.Fragment != "" || u.Path != "" && !overHTTP(s):
		return errors.New("it must end after the port")
	}
	return nil
}

// overHTTP reports whether a server is reached by WebSocket.
func overHTTP(server string) bool {
	return strings.HasPrefix(server, "ws://") || strings.HasPrefix(server, "wss://")
}

func judgeCluster(s string) error {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if s == "" || len(s) > 32 || strings.Trim(s, letters) != "" {
		return errors.New("it must be letters, digits, - and _, at most 32")
	}
	return nil
}

// checkCluster finds what is wrong with how the gateway joins others. add blames the
// one of two keys that was set last.
func (l *loader) checkCluster(add func(key, other, text string)) (problems Problems) {
	pairs := [][2]string{{"User", "PasswordFile"}, {"PasswordFile", "User"}, {"TLSCert", "TLSKey"}, {"TLSKey", "TLSCert"}}
	for _, name := range []string{"Whole", "Retry", "CredentialsFile", "User", "PasswordFile", "TokenFile", "TLSCA", "TLSCert", "TLSKey"} {
		pairs = append(pairs, [2]string{name, "Servers"}) // who sets one of these means to join
	}
	problems = l.needs("Cluster", pairs...)
	ways := []string{"Cluster.CredentialsFile", "Cluster.User", "Cluster.TokenFile"}
	for i, b := range ways {
		for _, a := range ways[:i] {
			if l.isSet(a) && l.isSet(b) {
				add(b, a, "and %s (%s) are two ways to be let in by NATS; remove one")
			}
		}
	}
	const servers = "Cluster.Servers"
	if !l.isSet(servers) {
		return problems
	}
	all := l.cfg.Cluster.Servers
	for _, s := range all {
		if overHTTP(s) != overHTTP(all[0]) {
			return append(problems, l.sources[servers].problem(servers, "has servers over ws or wss and others; use the one or the other"))
		}
	}
	return problems
}

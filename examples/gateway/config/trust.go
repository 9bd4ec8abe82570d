package config

import (
	"net"
	"net/netip"
	"strings"
)

// checkTrust finds what is wrong with who is let in to a listener of business
// processes. add blames the one of two keys that was set last.
func (l *loader) checkTrust(section string, add func(key, other, text string)) (problems Problems) {
	key := func(name string) string { return section + "." + name }
	set := func(name string) bool { return l.isSet(key(name)) }
	if set("Secret") && set("SecretFile") {
		add(key("SecretFile"), key("Secret"), "and %s (%s) are the same thing; remove one")
	}
	problems = l.needs(section, [2]string{"TLSCert", "TLSKey"}, [2]string{"TLSKey", "TLSCert"}, [2]string{"TLSClientCA", "TLSCert"})
	protected := false
	for _, name := range []string{"Secret", "SecretFile", "TLSClientCA", "TrustedNetworks"} {
		if !set(name) {
			protected = protected || l.bad[key(name)] // it was meant to be
			continue
		}
		protected = true
		if set("InsecureAllowAnyone") {
			add(key("InsecureAllowAnyone"), key(name), "and %s (%s) contradict each other: the one lets everybody in; remove one")
		}
	}
	address := key("ListenAddress")
	if l.bad[address] || protected || set("InsecureAllowAnyone") || l.bad[key("InsecureAllowAnyone")] || !isExposed(l.address(address)) {
		return problems
	}
	const text = "is \"ADDR\", which other computers reach, and who is let in controls all clients; set S.Secret or S.SecretFile, " +
		"S.TLSClientCA with a certificate, or S.TrustedNetworks, or listen on 127.0.0.1; if anyone may indeed, set S.InsecureAllowAnyone"
	filled := strings.NewReplacer("S.", section+".", "ADDR", l.text(address)).Replace(text)
	return append(problems, l.sources[address].problem(address, filled))
}

// checkAdmin finds what is wrong with who may look at the gateway, and act on it.
func (l *loader) checkAdmin(add func(key, other, text string)) (problems Problems) {
	const address, token, file, actions = "Admin.ListenAddress", "Admin.Token", "Admin.TokenFile", "Admin.Actions"
	if l.isSet(token) && l.isSet(file) {
		add(file, token, "and %s (%s) are the same thing; remove one")
	}
	problems = l.needs("Admin", [2]string{"TLSCert", "TLSKey"}, [2]string{"TLSKey", "TLSCert"})
	if l.isSet(token) || l.isSet(file) || l.bad[token] || l.bad[file] {
		return problems
	}
	if l.isSet(actions) {
		problems = append(problems, l.sources[actions].problem(actions, "lets operators act on all clients, and needs Admin.Token or Admin.TokenFile; set one"))
	}
	if !l.bad[address] && isExposed(l.address(address)) {
		problems = append(problems, l.sources[address].problem(address, "is "+quote(l.text(address))+
			", which other computers reach, and who reaches it sees who is connected; set Admin.Token or Admin.TokenFile, or listen on 127.0.0.1"))
	}
	return problems
}

// isSet reports whether a key says something, and something right.
func (l *loader) isSet(key string) bool {
	if l.bad[key] {
		return false
	}
	switch v := l.fields[key].value().(type) {
	case string:
		return v != ""
	case []string:
		return len(v) > 0
	case bool:
		return v
	}
	return false
}

// needs finds keys of a section that are set without the one beside them.
func (l *loader) needs(section string, pairs ...[2]string) (problems Problems) {
	for _, pair := range pairs {
		has, needs := section+"."+pair[0], section+"."+pair[1]
		if l.isSet(has) && !l.isSet(needs) && !l.bad[needs] {
			problems = append(problems, l.sources[has].problem(has, "needs "+needs+" too; set it"))
		}
	}
	return problems
}

// isExposed reports whether an address is certainly not this computer's own. Of
// a host's name nobody knows before it is listened on.
func isExposed(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	a, err := netip.ParseAddr(host)
	return err == nil && !a.Unmap().IsLoopback()
}

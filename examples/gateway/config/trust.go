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
	set := func(name string) bool {
		if l.bad[key(name)] {
			return false
		}
		switch v := l.fields[key(name)].value().(type) {
		case string:
			return v != ""
		case []string:
			return len(v) > 0
		case bool:
			return v
		}
		return false
	}
	if set("Secret") && set("SecretFile") {
		add(key("SecretFile"), key("Secret"), "and %s (%s) are the same thing; remove one")
	}
	for _, pair := range [][2]string{{"TLSCert", "TLSKey"}, {"TLSKey", "TLSCert"}, {"TLSClientCA", "TLSCert"}} {
		if has, needs := pair[0], pair[1]; set(has) && !set(needs) && !l.bad[key(needs)] {
			problems = append(problems, l.sources[key(has)].problem(key(has), "needs "+key(needs)+" too; set it"))
		}
	}
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

// isExposed reports whether an address is certainly not this computer's own. Of
// a host's name nobody knows before it is listened on.
func isExposed(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	a, err := netip.ParseAddr(host)
	return err == nil && !a.Unmap().IsLoopback()
}

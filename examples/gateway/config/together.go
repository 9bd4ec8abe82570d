package config

import (
	"fmt"
	"net"
	"net/netip"
)

// checkTogether finds values that are right by themselves and wrong beside each
// other. What has a problem already is left out.
func (l *loader) checkTogether() (problems Problems) {
	// add blames the key whose value was set last.
	add := func(key, other, text string) {
		a, b := l.sources[key], l.sources[other]
		if a.rank < b.rank || a.rank == b.rank && a.line < b.line {
			key, other, a, b = other, key, b, a
		}
		problems = append(problems, a.problem(key, fmt.Sprintf(text, other, b.place())))
	}
	ok := func(a, b string) bool { return !l.bad[a] && !l.bad[b] }

	listeners := []string{"Customer.ListenAddress", "Worker.ListenAddress", "Task.ListenAddress", "Admin.ListenAddress", "PprofListenAddress"}
	for i, b := range listeners {
		for _, a := range listeners[:i] {
			if ok(a, b) && collide(l.address(a), l.address(b)) {
				add(b, a, "is the address of %s too (%s); give each a port of its own")
			}
		}
	}
	for _, section := range []string{"Customer", "Worker", "Task"} {
		text, limit := section+".HeartbeatMessage", section+".ReceivePackLimit"
		if ok(text, limit) && len(l.text(text)) > l.fields[limit].value().(int) {
			add(limit, text, "does not fit with %s (%s): a heartbeat must not be longer than the limit")
		}
	}
	for _, section := range []string{"Worker", "Task"} {
		problems = append(problems, l.checkTrust(section, add)...)
	}
	problems = append(problems, l.checkCluster(add)...)
	return append(problems, l.checkAdmin(add)...)
}

func (l *loader) text(key string) string { return l.fields[key].value().(string) }

// address returns the address that a key means.
func (l *loader) address(key string) string {
	text := l.text(key)
	if host, port, err := net.SplitHostPort(text); err == nil && host == "" && l.fields[key].check.name == businessOpt {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return text
}

// collide reports whether two addresses cannot be listened on at the same time.
func collide(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || isAll(hostA) || isAll(hostB)
}

// isAll reports whether host stands for all addresses.
func isAll(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "" || err == nil && a.IsUnspecified()
}

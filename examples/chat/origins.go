package main

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// originsOf returns the origins by which a browser may come to a page that is
// served at addr, the one to recommend first. Whoever types localhost in place
// of 127.0.0.1 has another origin, and whoever listens on all addresses has one
// for each.
func originsOf(addr net.Addr) []string {
	a := addr.(*net.TCPAddr)
	ip, _ := netip.AddrFromSlice(a.IP)
	ip = ip.Unmap()
	var hosts []string
	switch {
	case ip.IsLoopback():
		hosts = []string{ip.String(), "localhost"}
	case ip.IsUnspecified():
		hosts = append([]string{"127.0.0.1", "localhost", "::1"}, localHosts()...)
	default:
		hosts = []string{ip.String()}
	}
	var origins []string
	for _, h := range hosts {
		o := "http://" + net.JoinHostPort(h, strconv.Itoa(a.Port))
		if a.Port == 80 { // browsers leave the default port out
			o = o[:len(o)-len(":80")]
		}
		if !slices.Contains(origins, o) {
			origins = append(origins, o)
		}
	}
	return origins
}

// localHosts returns the addresses and the name of this computer.
func localHosts() []string {
	var hosts []string
	addrs, _ := net.InterfaceAddrs() // without them there is still localhost
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().IsGlobalUnicast() {
			hosts = append(hosts, p.Addr().String())
		}
	}
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, strings.ToLower(name)) // as browsers write it
	}
	return hosts
}

// explicitHost returns the host that the page must use to find the gateway. It
// is empty where the host by which the browser came to the page will do: for a
// gateway on this computer's loopback or on all its addresses.
func explicitHost(a *net.TCPAddr) string {
	if a.IP.IsLoopback() || a.IP.IsUnspecified() {
		return ""
	}
	return a.IP.String()
}

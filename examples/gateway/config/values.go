package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// judgeOf returns what judges texts for the check of that name. The errors say
// what is right; the caller adds what is there.
func judgeOf(name string) func(string) error {
	switch name {
	case anyText, secretOpt, yesOrNo:
		return nil
	case address:
		return judgeAddress
	case addressOpt:
		return optional(judgeAddress)
	case httpURLOpt:
		return optional(judgeURL)
	case requestPath:
		return optional(judgePath)
	case origins:
		return judgeOrigin
	case ipv4Opt:
		return optional(judgeIPv4)
	case businessOpt:
		return optional(judgeBusiness)
	case trusted:
		return judgeTrusted
	case networks:
		return judgeNetwork
	case natsServers:
		return judgeNATS
	case clusterName:
		return judgeCluster
	default:
		panic("unknown check " + strconv.Quote(name))
	}
}

func optional(judge func(string) error) func(string) error {
	return func(s string) error {
		if s == "" {
			return nil
		}
		return judge(s)
	}
}

func judgeAddress(s string) error {
	return judgeHostPort(s, "it must be host:port, such as \"127.0.0.1:6060\", \"[::1]:6060\" or, for all addresses, \":6060\"")
}

func judgeBusiness(s string) error {
	return judgeHostPort(s, "it must be host:port, such as \"127.0.0.1:6061\" or \"10.0.0.5:6061\"; all addresses are \"0.0.0.0:6061\"")
}

func judgeHostPort(s, use string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return errors.New(use)
	}
	if !validPort(port) {
		return errors.New("its port must be a number from 0 to 65535; 0 picks a free one")
	}
	if host != "" && !validHost(host) {
		return errors.New("its host must be a name or an IP address")
	}
	return nil
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == s
}

// validHost reports whether s is an IP address or may be a host's name.
func validHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	for _, r := range s {
		if !strings.ContainsRune("-._", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	// What is all digits and dots was meant to be an address.
	return s != "" && s[0] != '.' && s[0] != '-' && strings.Trim(s, "0123456789.") != ""
}

func judgeURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Port() != "" && !validPort(u.Port()) {
		return errors.New("it must be a URL such as \"http://127.0.0.1:8080/open\"")
	}
	return nil
}

func judgePath(s string) error {
	if s[0] != '/' {
		return errors.New("it must begin with a slash, as \"/netsvr\" does")
	}
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		return fmt.Errorf("it must end before %q, as it is compared with the path alone", s[i])
	}
	return nil
}

func judgeIPv4(s string) error {
	a, err := netip.ParseAddrPort(s)
	if err != nil || !a.Addr().Is4() || a.Addr().IsUnspecified() || a.Port() == 0 {
		return errors.New("it must be the IPv4 address and port at which business processes reach this gateway, such as \"10.0.0.5:6062\"")
	}
	return nil
}

func judgeNetwork(s string) error {
	if _, ok := parseNetwork(s); !ok {
		return errors.New("it must be a network such as \"10.0.0.0/8\" or \"fd00::/8\", or an IP address")
	}
	return nil
}

// judgeTrusted is judgeNetwork for networks that need no secret.
func judgeTrusted(s string) error {
	if p, ok := parseNetwork(s); ok && p.Bits() == 0 {
		return errors.New("that is everybody; name networks, or set InsecureAllowAnyone if it is meant")
	}
	return judgeNetwork(s)
}

// parseNetwork reads a network, or an address, which is a network of one. One whose
// address has bits behind its prefix was meant to be something else.
func parseNetwork(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p, p == p.Masked()
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}

// Networks returns the networks of a list that Load has accepted, nil if it is
// empty.
func Networks(list []string) (ps []netip.Prefix) {
	for _, s := range list {
		if p, ok := parseNetwork(s); ok {
			ps = append(ps, p)
		}
	}
	return ps
}

// judgeSecret does not repeat it, wherever the error may end.
func judgeSecret(s string) error {
	if s != "" && len(s) < minSecret {
		return fmt.Errorf("has %d bytes; use at least %d, random ones", len(s), minSecret)
	}
	return nil
}

// minSecret is the shortest that package remote takes.
const minSecret = 16

func judgeOrigin(s string) error {
	const use = "it must be an origin such as \"https://example.com\", a host such as \"example.com:8080\", or \"*\""
	if s == "*" {
		return nil
	}
	scheme, host, ok := strings.Cut(s, "://")
	if !ok {
		host = s
	} else if scheme == "" || strings.ToLower(scheme) != scheme {
		return errors.New(use + "; the scheme is written in lower case")
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
		if (name != host) != strings.Contains(name, ":") {
			return errors.New(use) // IPv6 stands in brackets, nothing else does
		}
	} else if !validPort(port) || port == "0" {
		return errors.New(use)
	}
	if strings.Contains(name, "*") {
		return errors.New("wildcards match nothing, each host must be named; " + use)
	}
	if !validHost(name) {
		return errors.New(use)
	}
	return nil
}

// Origins returns what the gateway should compare origins with, and whether
// everybody is let in because a file has an empty list, which an operator
// should hear about. Nil means the gateway's own origin. Origins compare
// without regard to case.
func (c Customer) Origins() (list []string, emptyMeansAny bool) {
	if c.AllowOrigin == nil {
		return nil, false
	}
	if len(c.AllowOrigin) == 0 {
		return []string{"*"}, true
	}
	for _, o := range c.AllowOrigin {
		if o == "*" || strings.Contains(o, "://") {
			list = append(list, o)
			continue
		}
		list = append(list, "http://"+o, "https://"+o)
	}
	return list, false
}

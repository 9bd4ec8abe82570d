package websocket

import "testing"

func TestSameOrigin(t *testing.T) {
	tests := []struct {
		origin, host string
		want         bool
	}{
		{"http://example.com", "example.com", true},
		{"https://example.com", "example.com", true},
		{"https://EXAMPLE.com", "example.COM", true},
		{"HTTPS://example.com", "example.com", true},
		{"http://example.com:80", "example.com", true},
		{"http://example.com", "example.com:80", true},
		{"https://example.com", "example.com:443", true},
		{"https://example.com:443", "example.com", true},
		{"http://example.com:8080", "example.com:8080", true},
		{"http://example.com:", "example.com", true},
		{"http://127.0.0.1:6060", "127.0.0.1:6060", true},
		{"http://[::1]:6060", "[::1]:6060", true},
		{"http://[::1]", "[::1]", true},
		{"http://[::1]", "[::1]:80", true},

		{"http://evil.com", "example.com", false},
		{"http://example.com.evil.com", "example.com", false},
		{"http://evilexample.com", "example.com", false},
		{"http://sub.example.com", "example.com", false},
		{"http://example.co", "example.com", false},
		{"http://example.com:8080", "example.com", false},
		{"http://example.com", "example.com:8080", false},
		{"http://example.com:443", "example.com", false},
		{"http://example.com", "example.com:443", false},
		{"https://example.com", "example.com:80", false},
		{"http://[::1]:6060", "[::2]:6060", false},
		{"http://user@example.com", "example.com", false},
		{"http://example.com@evil.com", "evil.com", false},
		{"http://example.com/", "example.com", false},
		{"http://example.com/x", "example.com", false},
		{"http://example.com?x", "example.com", false},
		{"http://example.com#x", "example.com", false},
		{"http://evil.com\\example.com", "example.com", false},
		{"null", "example.com", false},
		{"null", "null", false},
		{"", "example.com", false},
		{"http://", "example.com", false},
		{"http://", ":80", false},
		{"example.com", "example.com", false},
		{"//example.com", "example.com", false},
		{"file://example.com", "example.com", false},
		{"chrome-extension://example.com", "example.com", false},
		{"ws://example.com", "example.com", false},
		{"http://\u212Aey.com", "key.com", false}, // the Kelvin sign folds to k in Unicode
	}
	for _, tt := range tests {
		if got := originAllowed([]string{tt.origin}, tt.host, nil); got != tt.want {
			t.Errorf("Origin %q, Host %q: %v", tt.origin, tt.host, got)
		}
	}
}

func TestOriginList(t *testing.T) {
	list := []string{"https://example.com", "https://app.example.com:8443"}
	tests := []struct {
		origins []string
		allowed []string
		want    bool
	}{
		{nil, list, true}, // not a browser
		{nil, nil, true},
		{[]string{"https://example.com"}, list, true},
		{[]string{"https://EXAMPLE.com"}, list, true},
		{[]string{"https://app.example.com:8443"}, list, true},
		{[]string{"http://example.com"}, list, false},
		{[]string{"https://app.example.com"}, list, false},
		{[]string{"https://example.com.evil.com"}, list, false},
		{[]string{"https://example.co"}, list, false},
		{[]string{"https://evil.com/https://example.com"}, list, false},
		{[]string{"https://host"}, list, false}, // a list replaces the same-origin rule
		{[]string{"null"}, list, false},
		{[]string{""}, list, false},
		{[]string{""}, []string{""}, false},
		{[]string{"null"}, []string{"null"}, true},
		{[]string{"https://any.com"}, []string{"*"}, true},
		{[]string{"null"}, []string{"*"}, true},
		{[]string{"https://a.example.com"}, []string{"https://*.example.com"}, false},
		{[]string{"https://example.com", "https://example.com"}, list, false},
		{[]string{"https://example.com", "https://evil.com"}, []string{"*"}, false},
	}
	for _, tt := range tests {
		if got := originAllowed(tt.origins, "host", tt.allowed); got != tt.want {
			t.Errorf("Origin %q, allowed %q: %v", tt.origins, tt.allowed, got)
		}
	}
}

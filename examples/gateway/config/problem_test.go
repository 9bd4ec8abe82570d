package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	aDuration = `use a duration in quotes, such as "120s" or "1m30s", from `
	notTOML   = "; write key = value, with texts, addresses and durations in quotes"
	anAddress = `it must be host:port, such as "127.0.0.1:6060", "[::1]:6060" or, for all addresses, ":6060"`
	aNetwork  = `it must be a network such as "10.0.0.0/8" or "fd00::/8", or an IP address`
	aBusiness = `it must be host:port, such as "127.0.0.1:6061" or "10.0.0.5:6061"; all addresses are "0.0.0.0:6061"`
	anOrigin  = `it must be an origin such as "https://example.com", a host such as "example.com:8080", or "*"`
)

func TestBadFiles(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		want       []string // without "f.toml:"
	}{
		{"alternatives", `LogLevel = "loud"`, []string{`1: LogLevel is "loud"; use "debug", "info", "warn" or "error"`}},
		{"wrong types", `
LogFile = 3
ShutdownWaitTime = 5
PprofListenAddress = true
[Customer]
Multicore = "80"
MaxOnlineNum = 1.5
AllowOrigin = "*"
TrustedProxies = "10.0.0.0/8"
HeartbeatInterval = 1979-05-27
[Worker]
ReadDeadline = ["1s"]
[Metrics]
Item = [1, "2"]`, []string{
			`2: LogFile is the number 3; use a text in quotes`,
			`3: ShutdownWaitTime is the number 5; ` + aDuration + `0s to 8760h`,
			`4: PprofListenAddress is true; use a text in quotes`,
			`6: Customer.Multicore is the text "80"; use a whole number from 0 to 100`,
			`7: Customer.MaxOnlineNum is the number 1.5; use a whole number from 0 to 2147483647`,
			`8: Customer.AllowOrigin is the text "*"; use a list of texts, such as ["https://example.com"]`,
			`9: Customer.TrustedProxies is the text "10.0.0.0/8"; use a list of networks, such as ["10.0.0.0/8"]`,
			`10: Customer.HeartbeatInterval is a date or time; ` + aDuration + `0s to 8760h`,
			`12: Worker.ReadDeadline is a list; ` + aDuration + `1ms to 8760h`,
			`14: Metrics.Item has the text "2" in it; use a list of whole numbers from 1 to 13, such as [1, 2]`,
		}},
		{"out of range", `
[Limit]
OnOpen = -1
OnMessage = 3000000000
[Customer]
Multicore = 101
CompressionLevel = 10
SendMessageType = 0
HeartbeatInterval = "-1s"
CallbackApiDeadline = "0s"
[Metrics]
Item = [
  13,
  14,
]
[Task]
ReceivePackLimit = 63`, []string{
			`3: Limit.OnOpen is -1; use a whole number from 0 to 2147483647`,
			`4: Limit.OnMessage is 3000000000; use a whole number from 0 to 2147483647`,
			`6: Customer.Multicore is 101; use a whole number from 0 to 100`,
			`7: Customer.CompressionLevel is 10; use a whole number from -2 to 9`,
			`8: Customer.SendMessageType is 0; use a whole number from 1 to 2`,
			`9: Customer.HeartbeatInterval is "-1s"; ` + aDuration + `0s to 8760h`,
			`10: Customer.CallbackApiDeadline is "0s"; ` + aDuration + `1ms to 8760h`,
			`12: Metrics.Item has 14 in it; use a list of whole numbers from 1 to 13, such as [1, 2]`,
			`17: Task.ReceivePackLimit is 63; use a whole number from 64 to 2147483647`,
		}},
		{"malformed texts", `
[Customer]
ListenAddress = "6060"
HandlePattern = "netsvr"
AllowOrigin = ["a.example", "https://a.example/", "*.example.com"]
HeartbeatInterval = "2 minutes"
OnOpenCallbackApi = "127.0.0.1:8000/open"
OnCloseCallbackApi = "ftp://a/b"
TrustedProxies = ["10.0.0.1", "10.0.0.1/8"]
ProxyProtocol = ["haproxy"]
[Worker]
ListenAddress = "127.0.0.1:worker"
Advertise = "[::1]:6061"
Choice = "random"
[Task]
ListenAddress = "10.0.0:6062"`, []string{
			`3: Customer.ListenAddress is "6060": ` + anAddress,
			`4: Customer.HandlePattern is "netsvr": it must begin with a slash, as "/netsvr" does`,
			`5: Customer.AllowOrigin has "https://a.example/": ` + anOrigin,
			`6: Customer.HeartbeatInterval is "2 minutes"; ` + aDuration + `0s to 8760h`,
			`7: Customer.OnOpenCallbackApi is "127.0.0.1:8000/open": it must be a URL such as "http://127.0.0.1:8080/open"`,
			`8: Customer.OnCloseCallbackApi is "ftp://a/b": it must be a URL such as "http://127.0.0.1:8080/open"`,
			`9: Customer.TrustedProxies has "10.0.0.1/8": ` + aNetwork,
			`10: Customer.ProxyProtocol has "haproxy": ` + aNetwork,
			`12: Worker.ListenAddress is "127.0.0.1:worker": its port must be a number from 0 to 65535; 0 picks a free one`,
			`13: Worker.Advertise is "[::1]:6061": it must be the IPv4 address and port at which business processes reach this gateway, such as "10.0.0.5:6062"`,
			`14: Worker.Choice is "random"; use "client" or "roundrobin"`,
			`16: Task.ListenAddress is "10.0.0:6062": its host must be a name or an IP address`,
		}},
		{"path and wildcard", "Customer.HandlePattern = '/a?b'\nCustomer.AllowOrigin = ['*.a.example']\nCustomer.ListenAddress = ''\nLogLevel = ''", []string{
			`1: Customer.HandlePattern is "/a?b": it must end before '?', as it is compared with the path alone`,
			`2: Customer.AllowOrigin has "*.a.example": wildcards match nothing, each host must be named; ` + anOrigin,
			`3: Customer.ListenAddress is "": ` + anAddress,
			`4: LogLevel is ""; use "debug", "info", "warn" or "error"`,
		}},
		{"unknown", `
loglevel = "info"
Whatever = 1
[Customer]
ListenAdress = ":1"
OnOpen = 1
[Custmer]
ListenAddress = ":2"
[Customer.Deep]
[Something.Else]
[Limit]
OnOpen = -1`, []string{
			`2: loglevel is unknown; did you mean LogLevel?`,
			`3: Whatever is unknown; remove it, or see -h for the names there are`,
			`5: Customer.ListenAdress is unknown; did you mean Customer.ListenAddress?`,
			`6: Customer.OnOpen is unknown; did you mean Limit.OnOpen?`,
			`7: [Custmer] is unknown; did you mean [Customer]?`,
			`9: [Customer.Deep] is unknown; remove it, or see -h for the names there are`,
			`10: [Something.Else] is unknown; remove it, or see -h for the names there are`,
			`12: Limit.OnOpen is -1; use a whole number from 0 to 2147483647`,
		}},
		{"dotted, inline and quoted keys", `# comment
Customer . Multicore = 200
'Worker'."ListenAddress" = "x"
Limit = { OnOpen = -1, "OnMessage" = "x" }
Task = { Deep = { er = 1 }, ListenAddress.x = 1 }
"Customer.Multicore" = 1
["Metrics"]
"Item" = [0]`, []string{
			`2: Customer.Multicore is 200; use a whole number from 0 to 100`,
			`3: Worker.ListenAddress is "x": ` + aBusiness,
			`4: Limit.OnOpen is -1; use a whole number from 0 to 2147483647`,
			`4: Limit.OnMessage is the text "x"; use a whole number from 0 to 2147483647`,
			`5: Task.Deep is unknown; remove it, or see -h for the names there are`,
			`5: Task.ListenAddress.x is unknown; did you mean Task.ListenAddress?`,
			`6: "Customer.Multicore" is unknown; did you mean Customer.Multicore?`,
			`8: Metrics.Item has 0 in it; use a list of whole numbers from 1 to 13, such as [1, 2]`,
		}},
		{"inline table over several lines", "\n\nLimit = {\n  # one\n  OnOpen = -1,\n\n  OnMessage = -2,\n}", []string{
			`5: Limit.OnOpen is -1; use a whole number from 0 to 2147483647`,
			`7: Limit.OnMessage is -2; use a whole number from 0 to 2147483647`,
		}},
		{"after long values", "LogFile = \"\"\"\na\nb\"\"\"\r\n\r\nLogLevel = 1\r\n", []string{`5: LogLevel is the number 1; use "debug", "info", "warn" or "error"`}},
		{"byte order mark", "\ufeffLogLevel = 1", []string{`1: LogLevel is the number 1; use "debug", "info", "warn" or "error"`}},
		{"keys and sections mixed up", "Customer = 3\n[LogLevel]\nx = 1\n[Task.ListenAddress]\n[[Limit]]\nOnOpen = 1", []string{
			`1: Customer is a section; write its keys below a line [Customer]`,
			`2: [LogLevel] is a key, not a section; write LogLevel = … above all sections`,
			`4: [Task.ListenAddress] is a key, not a section; write ListenAddress = … below [Task]`,
			`5: [[Limit]] is a list of sections; there is one only, written [Limit]`,
		}},
		{"twice", "LogLevel = 'info'\n[Limit]\nOnOpen = 1\n[Task]\n[Limit]\nOnOpen = 2", []string{
			`5: [Limit] is there twice, first on line 2; put the keys together`,
			`6: Limit.OnOpen is there twice, first on line 3; remove one`,
		}},
		{"defined in two ways", "Limit.OnOpen = 1\n[Limit]\nOnMessage = 1", []string{`2: table Limit already exists as defined by a dotted key`}},
		{"twice in an inline table", "Limit = { OnOpen = 1,\nOnOpen = 2 }", []string{`1: Limit is wrong: key OnOpen is already defined`}},
		{"too large a number", "[Limit]\nOnOpen = 99999999999999999999", []string{`2: Limit.OnOpen is wrong: decimal number is too large to fit in a 64-bit signed integer`}},
		{"not TOML, and on", `
[Customer]
ListenAddress = 127.0.0.1:6060
Multicore = 101
[Worker
ListenAddress = "belongs to nobody knows what"
[Metrics]
Item = [1,
  2
[Limit]
OnOpen = -1`, []string{
			`3: this is not TOML: expected newline but got U+002E '.'` + notTOML,
			`4: Customer.Multicore is 101; use a whole number from 0 to 100`,
			`5: this is not TOML: expected ']' to close table name` + notTOML,
			`10: this is not TOML: expected ',' or ']' after array value` + notTOML,
			`11: Limit.OnOpen is -1; use a whole number from 0 to 2147483647`,
		}},
		{"an inline table after a mistake", "a\n\nLimit = {\n OnOpen = -1 }", []string{
			`1: this is not TOML: expected '=' after key` + notTOML,
			`4: Limit.OnOpen is -1; use a whole number from 0 to 2147483647`,
		}},
		{"not TOML at all", "\x7fELF\x00", []string{`1: this is not TOML: invalid character at start of key: U+007F` + notTOML}},
		{"not UTF-8", "LogFile = '\xff'", []string{`1: this is not TOML: invalid UTF-8 character in literal string` + notTOML}},
		{"ports twice", "[Worker]\nListenAddress = ':6060'\n[Customer]\nListenAddress = '127.0.0.1:6060'", []string{
			`4: Customer.ListenAddress is the address of Worker.ListenAddress too (line 2); give each a port of its own`,
		}},
		{"a port of the defaults, in order", "PprofListenAddress = '127.0.0.1:6062'\nLogLevel = 1", []string{
			`1: PprofListenAddress is the address of Task.ListenAddress too (by default); give each a port of its own`,
			`2: LogLevel is the number 1; use "debug", "info", "warn" or "error"`,
		}},
		{"a port for all addresses", "Customer.ListenAddress = '[::]:6062'", []string{
			`1: Customer.ListenAddress is the address of Task.ListenAddress too (by default); give each a port of its own`,
		}},
		{"not the port of a default that is not meant", "[Worker]\nListenAddress = 6060\n[Customer]\nListenAddress = '127.0.0.1:6061'", []string{
			`2: Worker.ListenAddress is the number 6060; use a text in quotes`,
		}},
		{"a long heartbeat", "[Customer]\nReceivePackLimit = 13", []string{
			`2: Customer.ReceivePackLimit does not fit with Customer.HeartbeatMessage (by default): a heartbeat must not be longer than the limit`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load("f.toml", []byte(tt.file), nil, nil)
			if err == nil {
				t.Fatal("no error")
			}
			want := "f.toml:" + strings.Join(tt.want, "\nf.toml:")
			if err.Error() != want {
				t.Errorf("got\n%v\nwant\n%s", err, want)
			}
		})
	}
}

func TestBadOverrides(t *testing.T) {
	env := []string{
		"SLUICE_CUSTOMER_MULTICORE=many", "SLUICE_LOGLEVEL=trace", "SLUICE_METRICS_ITEM=1,,2", "SLUICE_LOGFILE=\xff",
		"SLUICE_CUSTOMER_MULTICOR=1", "SLUICE_ZZZ=1", "SLUICE_Loglevel=info",
		// Kubernetes, for services "sluice" and "sluice-task":
		"SLUICE_SERVICE_HOST=10.0.0.1", "SLUICE_SERVICE_PORT=6060", "SLUICE_SERVICE_PORT_HTTP=1", "SLUICE_PORT=tcp://10.0.0.1:6060",
		"SLUICE_PORT_6060_TCP=tcp://10.0.0.1:6060", "SLUICE_TASK_PORT_6062_TCP_ADDR=10.0.0.1",
	}
	flags := flagsOf(t, "-Customer.HeartbeatInterval", "120", "-Metrics.Item", "14", "-Customer.AllowOrigin", "a.example,a/b", "-Task.ListenAddress", ":6061")
	_, err := load("f.toml", []byte("\nLogLevel = 1"), env, flags)
	want := strings.Join([]string{
		`f.toml:2: LogLevel is the number 1; use "debug", "info", "warn" or "error"`,
		`variable SLUICE_LOGLEVEL is "trace"; use "debug", "info", "warn" or "error"`,
		`variable SLUICE_LOGFILE is "\xff", which is not UTF-8; write it in UTF-8`,
		`variable SLUICE_CUSTOMER_MULTICORE is "many"; use a whole number from 0 to 100`,
		`variable SLUICE_METRICS_ITEM is "1,,2"; use whole numbers from 1 to 13 with commas between them, such as 1,2`,
		`variable SLUICE_CUSTOMER_MULTICOR is unknown; did you mean SLUICE_CUSTOMER_MULTICORE?`,
		`variable SLUICE_Loglevel is unknown; did you mean SLUICE_LOGLEVEL?`,
		`variable SLUICE_ZZZ is unknown; remove it, or see -h for the names there are`,
		`flag -Customer.HeartbeatInterval is "120"; use a duration such as "120s" or "1m30s", from 0s to 8760h`,
		`flag -Metrics.Item has 14 in it; use whole numbers from 1 to 13 with commas between them, such as 1,2`,
		`flag -Customer.AllowOrigin has "a/b": ` + anOrigin,
		`flag -Task.ListenAddress is the address of Worker.ListenAddress too (by default); give each a port of its own`,
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	var problems Problems
	if !errors.As(err, &problems) || len(problems.Unwrap()) != 12 {
		t.Errorf("a %T", err)
	}
}

func TestFileCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large.toml")
	if err := os.WriteFile(large, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing.toml")
	for file, want := range map[string]string{
		missing: missing + ": cannot be read: no such file or directory",
		large:   large + ": cannot be read: it has more than 1048576 bytes; is it the right one?",
		dir:     dir + ": cannot be read: is a directory",
	} {
		if _, err := Load(file, nil, nil); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

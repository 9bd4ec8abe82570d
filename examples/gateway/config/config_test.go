package config

import (
	"flag"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
)

func TestDefaults(t *testing.T) {
	c := Default()
	for _, tt := range []struct{ got, want any }{
		{c.LogLevel, "info"},
		{c.ShutdownWaitTime, 5 * time.Second},
		{c.Customer.ListenAddress, "127.0.0.1:6060"},
		{c.Customer.HandlePattern, "/netsvr"},
		{c.Customer.HeartbeatInterval, 120 * time.Second},
		{c.Customer.CallbackApiDeadline, 3 * time.Second},
		{c.Customer.Multicore, 100},
		{c.Customer.SendMessageType, 1},
		{c.Customer.AllowOrigin, []string(nil)},
		{c.Worker.ListenAddress, "127.0.0.1:6061"},
		{c.Worker.ReadDeadline, 120 * time.Second},
		{c.Worker.SendDeadline, 10 * time.Second},
		{c.Worker.BufferSize, 16 << 20},
		{c.Worker.BufferAge, 30 * time.Second},
		{c.Worker.Choice, "client"},
		{[]bool{c.Worker.InsecureAllowAnyone, c.Task.InsecureAllowAnyone}, []bool{false, false}},
		{c.Task.ListenAddress, "127.0.0.1:6062"},
		{[]int{c.Customer.ReceivePackLimit, c.Worker.ReceivePackLimit, c.Task.ReceivePackLimit}, []int{2 << 20, 2 << 20, 2 << 20}},
		{len(c.Metrics.Item), 13},
	} {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("got %v, want %v", tt.got, tt.want)
		}
	}
}

func TestEveryKeyIsDescribed(t *testing.T) {
	c := Default()
	for _, f := range fieldsOf(&c) {
		if f.help == "" || strings.HasSuffix(f.help, ".") || strings.Contains(f.help, "\n") {
			t.Errorf("%s: help %q", f.key, f.help)
		}
		if !f.hasDefault && f.key != "Customer.AllowOrigin" {
			t.Errorf("%s has no default", f.key)
		}
	}
}

// TestSample holds the file that users copy to what the program does. Make it
// anew with: go run ./examples/gateway -print > examples/gateway/sluice.toml
func TestSample(t *testing.T) {
	sample, err := os.ReadFile("../sluice.toml")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := load("sluice.toml", sample, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(cfg, Default()) {
		t.Errorf("the sample differs from the defaults:\n%+v\n%+v", cfg, Default())
	}
	// Read by another way than ours: which keys are there?
	text := strings.Replace(string(sample), "\n# AllowOrigin = ", "\nAllowOrigin = ", 1)
	var all map[string]any
	if err := toml.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	for _, f := range fieldsOf(&cfg) {
		if descend(all, strings.Split(f.key, ".")) == nil {
			t.Errorf("%s is missing from the sample", f.key)
		}
	}
	if string(sample) != Default().TOML() {
		t.Error("the sample is not what -print prints")
	}
}

func TestExistingFile(t *testing.T) {
	cfg, err := Load("testdata/existing.toml", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		LogLevel: "warn", LogFile: "/var/log/gateway.log", ShutdownWaitTime: 0, PprofListenAddress: "127.0.0.1:6063",
		Limit: Limit{OnOpen: 500, OnMessage: 20000},
		Customer: Customer{
			ListenAddress: "0.0.0.0:7060", HandlePattern: "/ws", AllowOrigin: []string{}, Multicore: 50,
			HeartbeatInterval: 90 * time.Second, HeartbeatMessage: "beat", MaxOnlineNum: 5000, ReceivePackLimit: 65536,
			SendMessageType: 2, CompressionLevel: -2,
			OnOpenCallbackApi: "http://127.0.0.1:8000/open", OnCloseCallbackApi: "https://api.example.com/close?a=1",
			CallbackApiDeadline: 1500 * time.Millisecond,
			LimitWindowSize:     2 * time.Second, LimitWindowMaxRequests: 40, LimitZeroWindowMaxRequests: 10,
			LimitExceeded:  "drop",
			TrustedProxies: []string{}, ProxyProtocol: []string{},
		},
		Worker: Worker{
			ListenAddress: "localhost:7061", ReadDeadline: time.Minute, SendDeadline: 5 * time.Second, ReceivePackLimit: 1 << 20,
			ReadBufferSize: 4096, SendChanCap: 1024, HeartbeatMessage: "w",
			BufferSize: 16 << 20, BufferAge: 30 * time.Second, Choice: "client", TrustedNetworks: []string{},
		},
		Task: Task{
			ListenAddress: "localhost:7062", ReadDeadline: 61 * time.Second, SendDeadline: 6 * time.Second, ReceivePackLimit: 1 << 21,
			ReadBufferSize: 8192, HeartbeatMessage: "t", TrustedNetworks: []string{},
		},
		Cluster: Cluster{Servers: []string{}, Name: "main", Heartbeat: 2 * time.Second},
		Metrics: Metrics{Item: []int{1, 2, 6, 13}},
	}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got  %+v\nwant %+v", cfg, want)
	}
}

func flagsOf(t *testing.T, args ...string) *Flags {
	t.Helper()
	var f Flags
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	f.Register(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &f
}

func TestPrecedence(t *testing.T) {
	file := []byte("LogLevel = \"warn\"\n[Customer]\nMulticore = 1\nMaxOnlineNum = 1\nCompressionLevel = 1\n")
	env := []string{
		"SLUICE_CUSTOMER_MULTICORE=2", "SLUICE_CUSTOMER_MAXONLINENUM=2", "SLUICE_CUSTOMER_ALLOWORIGIN=a.example, https://b.example",
		"SLUICE_METRICS_ITEM=", "SLUICE_CONFIG=ignored.toml", "PATH=/bin", "SLUICE_WORKER_LISTENADDRESS=",
	}
	cfg, err := load("f.toml", file, env, flagsOf(t, "-Customer.Multicore", "3", "-Metrics.Item=4,5", "-Customer.HeartbeatInterval", "7s", "-Customer.HeartbeatInterval", "8s"))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.LogLevel = "warn"
	want.Customer.Multicore = 3
	want.Customer.MaxOnlineNum = 2
	want.Customer.CompressionLevel = 1
	want.Customer.HeartbeatInterval = 8 * time.Second
	want.Customer.AllowOrigin = []string{"a.example", "https://b.example"}
	want.Metrics.Item = []int{4, 5}
	want.Worker.ListenAddress = ""
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got  %+v\nwant %+v", cfg, want)
	}
}

func TestEmptyLists(t *testing.T) {
	inFile, err := load("f.toml", []byte("Customer.AllowOrigin = []\nMetrics.Item = []\n"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if l, anyone := inFile.Customer.Origins(); !anyone || !reflect.DeepEqual(l, []string{"*"}) {
		t.Errorf("an empty list in a file means any origin, with a warning; got %v, %v", l, anyone)
	}
	if inFile.Metrics.Item == nil || len(inFile.Metrics.Item) != 0 {
		t.Errorf("an empty list of metrics means none; got %#v", inFile.Metrics.Item)
	}
	// An empty variable is too easily an accident to open the gateway to all.
	inEnv, err := load("", nil, []string{"SLUICE_CUSTOMER_ALLOWORIGIN=", "SLUICE_METRICS_ITEM="}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if l, anyone := inEnv.Customer.Origins(); anyone || l != nil {
		t.Errorf("an empty variable means the gateway's own origin; got %v, %v", l, anyone)
	}
	if inEnv.Metrics.Item == nil || len(inEnv.Metrics.Item) != 0 {
		t.Errorf("an empty variable means no metrics; got %#v", inEnv.Metrics.Item)
	}
}

func TestOrigins(t *testing.T) {
	c := Customer{AllowOrigin: []string{"https://a.example:444", "b.example:8080", "[::1]", "*"}}
	want := []string{"https://a.example:444", "http://b.example:8080", "https://b.example:8080", "http://[::1]", "https://[::1]", "*"}
	if got, anyone := c.Origins(); anyone || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, anyone)
	}
	for _, bad := range []string{"", "https://", "https://a/", "a/b", "*.example.com", "a b", "::1", "[a]", "https://a:0", "a:99999", "HTTPS://a", "://a", "10.0.0", ".example.com"} {
		if judgeOrigin(bad) == nil {
			t.Errorf("origin %q was accepted", bad)
		}
	}
}

func TestNetworks(t *testing.T) {
	cfg, err := load("", nil, []string{"SLUICE_CUSTOMER_TRUSTEDPROXIES=10.0.0.0/8, 192.0.2.1,fd00::/8,::1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"),
		netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("::1/128"),
	}
	if got := Networks(cfg.Customer.TrustedProxies); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Networks(cfg.Customer.ProxyProtocol); got != nil {
		t.Errorf("of an empty list: %v", got)
	}
	for _, bad := range []string{"", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0", "10.*", "fe80::1%eth0", "fd00::1/8", "localhost", "10.0.0.1:80", "0.0.0.0/0,::/0"} {
		if judgeNetwork(bad) == nil {
			t.Errorf("network %q was accepted", bad)
		}
	}
}

func TestPrintRoundTrip(t *testing.T) {
	for _, change := range []func(*Config){
		func(*Config) {},
		func(c *Config) { c.Customer.AllowOrigin = []string{} },
		func(c *Config) { c.Customer.AllowOrigin = []string{"*", "a.example"}; c.Metrics.Item = []int{} },
		func(c *Config) { c.LogFile = "a \"b\"\\c\n\x7f\u00e9'#"; c.Worker.ListenAddress = "" },
		func(c *Config) { c.ShutdownWaitTime = 1500 * time.Millisecond; c.Customer.HeartbeatInterval = 0 },
		func(c *Config) {
			c.Task.ListenAddress, c.Task.TrustedNetworks = "10.0.0.1:6062", []string{"10.0.0.0/8", "fd00::/8"}
			c.Worker.ListenAddress, c.Worker.InsecureAllowAnyone = "0.0.0.0:6061", true
		},
		func(c *Config) { c.Customer.CompressionLevel = -2; c.Worker.Advertise = "10.0.0.1:1" },
		func(c *Config) { c.Customer.TrustedProxies = []string{"10.0.0.0/8", "::1"} },
	} {
		c := Default()
		change(&c)
		got, err := load("printed.toml", []byte(c.TOML()), nil, nil)
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%v\ngot  %+v\nwant %+v", err, got, c)
		}
	}
}

func TestHelp(t *testing.T) {
	var b strings.Builder
	if err := Help(&b); err != nil {
		t.Fatal(err)
	}
	c := Default()
	for _, f := range fieldsOf(&c) {
		if !strings.Contains(b.String(), "  -"+f.key+"\n    \t"+f.help) {
			t.Errorf("the help lacks %s", f.key)
		}
	}
	for _, want := range []string{"(default \"127.0.0.1:6060\")\n", "(default 120s)\n", "(default 2097152)\n", "(default \"\")\n", "\nCustomer: where clients connect\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the help lacks %q", want)
		}
	}
}

// Package config reads the configuration of the stand-alone gateway. A value
// comes from its default, a TOML file, an environment variable or a flag, each
// of which goes before the one named earlier:
//
//	var flags config.Flags
//	flags.Register(fs)
//	…
//	cfg, err := config.Load("sluice.toml", os.Environ(), &flags)
//
// The struct [Config] is the one list of keys. The key Customer.ListenAddress
// is also the flag -Customer.ListenAddress and the environment variable
// SLUICE_CUSTOMER_LISTENADDRESS. Everything that is wrong is reported at once,
// see [Problems].
package config

import "time"

// Config holds the value of every key. A field's tags are the default, what
// values are right (see [check]), whether it can change while the gateway runs
// (see [Config.Reload]) and the meaning, which the help, the printed configuration
// and the sample file show.
type Config struct {
	LogLevel         string        `default:"info" check:"debug|info|warn|error" reload:"yes" help:"log this and what is worse"`
	LogFile          string        `default:"" check:"text" reload:"yes" help:"append the log to this file, made if missing; empty: standard error"`
	ShutdownWaitTime time.Duration `default:"5s" check:"0s.." help:"how long stopping may take; 0s: as long as it takes"`

	PprofListenAddress string `default:"" check:"address?" help:"serve net/http/pprof here, for yourself alone; empty: off"`

	Limit    Limit    `help:"bounds what all clients do together"`
	Customer Customer `help:"where clients connect"`
	Worker   Worker   `help:"where business processes register for events"`
	Task     Task     `help:"where business processes send commands"`
	Cluster  Cluster  `help:"own section: makes this gateway one of several whose clients are reached from each of them, over NATS"`
	Admin    Admin    `help:"own section: where whoever operates the gateway looks: dashboard, metrics, health, profiles"`
	Metrics  Metrics  `help:"what the command Metrics answers with"`
}

// Limit is the section [Limit]. The existing gateway does not know the last two
// keys.
type Limit struct {
	OnOpen    int `default:"0" check:"0.." reload:"yes" help:"clients that may connect per second; 0: off"`
	OnMessage int `default:"0" check:"0.." reload:"yes" help:"messages that all clients may send per second, the others are dropped; 0: off"`

	IPConnections int `default:"0" check:"0.." reload:"yes" help:"own key: clients that one IPv4 address or IPv6 /64 may have at a time; behind a proxy all have its address; 0: off"`
	IPOpens       int `default:"0" check:"0.." reload:"yes" help:"own key: clients that may connect per second from one IPv4 address or IPv6 /64; behind a proxy all have its address; 0: off"`
}

// Customer is the section [Customer], the clients' side. The existing gateway does
// not know the last three keys.
type Customer struct {
	ListenAddress       string        `default:"127.0.0.1:6060" check:"address" help:"address for clients"`
	HandlePattern       string        `default:"/netsvr" check:"path" help:"path at which clients connect; empty: any"`
	AllowOrigin         []string      `check:"origins" reload:"yes" help:"web origins whose pages may connect: \"https://example.com\", or \"example.com\" for http and https, or \"*\" for any; without this key: the gateway's own; an empty list in a file: any"`
	Multicore           int           `default:"100" check:"0..100" help:"per cent of the CPUs to use as event loops, rounded up; 0: one loop"`
	HeartbeatInterval   time.Duration `default:"120s" check:"0s.." help:"close a client that is silent for so long; 0s: never"`
	HeartbeatMessage    string        `default:"~6YOt5rW35piO~" check:"text" help:"text message of a client that only shows that it is alive; empty: the default"`
	MaxOnlineNum        int           `default:"0" check:"0.." reload:"yes" help:"clients at a time; 0: no limit"`
	ReceivePackLimit    int           `default:"2097152" check:"1.." help:"largest message of a client, in bytes"`
	SendMessageType     int           `default:"1" check:"1..2" help:"how messages are sent, 1: as text, which must be UTF-8; 2: as binary"`
	CompressionLevel    int           `default:"0" check:"-2..9" help:"compress messages to clients that can inflate: 1 fast to 9 small; 0: off; -1: as 6; -2: as 1"`
	OnOpenCallbackApi   string        `default:"" check:"url?" help:"ask this URL whether a client may connect; empty: off"` //nolint:revive // the name in files
	OnCloseCallbackApi  string        `default:"" check:"url?" help:"tell this URL of clients that have left; empty: off"`   //nolint:revive // the name in files
	CallbackApiDeadline time.Duration `default:"3s" check:"1ms.." help:"how long an answer of these URLs may take"`          //nolint:revive // the name in files

	LimitWindowSize            time.Duration `default:"1s" check:"1ms.." reload:"yes" help:"window in which the messages of one client are counted"`
	LimitWindowMaxRequests     int           `default:"0" check:"0.." reload:"yes" help:"messages of one client per window, the others are dropped; 0: off"`
	LimitZeroWindowMaxRequests int           `default:"0" check:"0.." reload:"yes" help:"messages of one client in its first window, if there is a limit per window; 0: as in any other"`

	LimitExceeded  string   `default:"drop" check:"drop|close" reload:"yes" help:"own key: what becomes of a client with messages over its limit per window, its messages alone are dropped or it is closed with 1013"`
	TrustedProxies []string `default:"" check:"networks" help:"own key: networks of HTTP proxies whose X-Forwarded-For or X-Real-IP names the client; empty: none is believed, the headers are passed on as they come"`
	ProxyProtocol  []string `default:"" check:"networks" help:"own key: networks of proxies that begin each connection with a PROXY header of version 2, and must; empty: none"`
}

// Worker is the section [Worker]. The existing gateway knows none of the
// keys from BufferSize on.
type Worker struct {
	ListenAddress    string        `default:"127.0.0.1:6061" check:"business?" help:"address for registrations, \":6061\" is on this computer only: who is let in sees and controls all clients; empty: none"`
	ReadDeadline     time.Duration `default:"120s" check:"1ms.." help:"close a connection that sends nothing for so long"`
	SendDeadline     time.Duration `default:"10s" check:"1ms.." help:"close a connection if writing to it takes so long"`
	ReceivePackLimit int           `default:"2097152" check:"64.." help:"largest packet received, in bytes"`
	ReadBufferSize   int           `default:"0" check:"0.." help:"not needed, the buffer finds its size; accepted from existing files"`
	SendChanCap      int           `default:"0" check:"0.." help:"events that may wait for one process; 0: bounded by bytes alone"`
	HeartbeatMessage string        `default:"~6YOt5rW35piO~" check:"text" help:"packet that only shows that the process is alive; empty: the default"`

	BufferSize int           `default:"16777216" check:"0.." help:"own key: bytes of events kept while no process is registered; 0: drop them"`
	BufferAge  time.Duration `default:"30s" check:"0s.." help:"own key: how long these events are kept; 0s: drop them"`
	Choice     string        `default:"client" check:"client|roundrobin" help:"own key: who gets an event, always one process per client or each in turn"`
	Advertise  string        `default:"" check:"ipv4?" help:"own key: IPv4 address and port in connIds; empty: the address listened on"`

	Secret              string   `default:"" check:"secret?" reload:"set" help:"own key: what processes must prove to know, 16 bytes or more, except on this computer and in TrustedNetworks; empty: none"`
	SecretFile          string   `default:"" check:"text" reload:"set" help:"own key: file with that secret; empty: none"`
	TrustedNetworks     []string `default:"" check:"trusted" help:"own key: networks, such as \"10.1.0.0/16\", whose processes need no secret"`
	TLSCert             string   `default:"" check:"text" reload:"set" help:"own key: file with the certificate to speak TLS by; empty: no TLS"`
	TLSKey              string   `default:"" check:"text" reload:"set" help:"own key: file with the certificate's private key"`
	TLSClientCA         string   `default:"" check:"text" reload:"set" help:"own key: file with the authority whose certificates processes must show; empty: none"`
	InsecureAllowAnyone bool     `default:"false" check:"bool" help:"own key: let in anyone who reaches the address, instead of all this"`
}

// Task is the section [Task]. The existing gateway knows none of the keys
// from Advertise on.
type Task struct {
	ListenAddress    string        `default:"127.0.0.1:6062" check:"business?" help:"address for commands, \":6062\" is on this computer only: who is let in controls all clients; empty: none"`
	ReadDeadline     time.Duration `default:"120s" check:"1ms.." help:"close a connection that sends nothing for so long"`
	SendDeadline     time.Duration `default:"10s" check:"1ms.." help:"close a connection if writing to it takes so long"`
	ReceivePackLimit int           `default:"2097152" check:"64.." help:"largest packet received, in bytes"`
	ReadBufferSize   int           `default:"0" check:"0.." help:"not needed, the buffer finds its size; accepted from existing files"`
	HeartbeatMessage string        `default:"~6YOt5rW35piO~" check:"text" help:"packet that only shows that the process is alive; empty: the default"`
	Advertise        string        `default:"" check:"ipv4?" help:"own key: IPv4 address and port in uniqIds, by which processes find a client's gateway; empty: the address listened on"`

	Secret              string   `default:"" check:"secret?" reload:"set" help:"own key: what processes must prove to know, 16 bytes or more, except on this computer and in TrustedNetworks; empty: none"`
	SecretFile          string   `default:"" check:"text" reload:"set" help:"own key: file with that secret; empty: none"`
	TrustedNetworks     []string `default:"" check:"trusted" help:"own key: networks, such as \"10.1.0.0/16\", whose processes need no secret"`
	TLSCert             string   `default:"" check:"text" reload:"set" help:"own key: file with the certificate to speak TLS by; empty: no TLS"`
	TLSKey              string   `default:"" check:"text" reload:"set" help:"own key: file with the certificate's private key"`
	TLSClientCA         string   `default:"" check:"text" reload:"set" help:"own key: file with the authority whose certificates processes must show; empty: none"`
	InsecureAllowAnyone bool     `default:"false" check:"bool" help:"own key: let in anyone who reaches the address, instead of all this"`
}

// Cluster is the section [Cluster], which the existing gateway does not know.
type Cluster struct {
	Servers   []string      `default:"" check:"nats" help:"addresses of NATS, such as \"nats://10.0.0.9:4222\"; who is let in there controls all clients; empty: no cluster"`
	Name      string        `default:"main" check:"cluster" help:"the cluster, of those that share a NATS; the gateways of one name are one"`
	Whole     bool          `default:"false" check:"bool" help:"carry out the commands of business processes on the clients of all gateways, for processes that dial one of them; false: on this gateway's, for processes that dial every gateway"`
	Retry     bool          `default:"false" check:"bool" help:"if NATS cannot be reached at the start, serve this gateway's clients and join when it can; false: end"`
	Heartbeat time.Duration `default:"2s" check:"10ms.." help:"tell the others so often that this gateway is there; one that misses four is lost to them"`

	CredentialsFile string `default:"" check:"text" help:"file with a user's JWT and key, by which NATS lets this gateway in; empty: none"`
	User            string `default:"" check:"text" help:"user by whom NATS lets this gateway in, with PasswordFile; empty: none"`
	PasswordFile    string `default:"" check:"text" help:"file with the user's password"`
	TokenFile       string `default:"" check:"text" help:"file with the token by which NATS lets this gateway in; empty: none"`
	TLSCA           string `default:"" check:"text" help:"file with the authority whose certificate NATS must show; empty: the system's authorities, if TLS is spoken"`
	TLSCert         string `default:"" check:"text" help:"file with the certificate to show to NATS; empty: none"`
	TLSKey          string `default:"" check:"text" help:"file with the certificate's private key"`
}

// Admin is the section [Admin], which the existing gateway does not know.
type Admin struct {
	ListenAddress string `default:"" check:"business?" help:"serve the dashboard at /, /metrics, /healthz, /readyz and /debug/pprof/ here, \":6064\" is on this computer only; empty: off"`
	Token         string `default:"" check:"secret?" help:"what operators and scrapers must show, 16 bytes or more; health is for all; empty: nothing, and only this computer is answered"`
	TokenFile     string `default:"" check:"text" help:"file with that token; empty: none"`
	Actions       bool   `default:"false" check:"bool" help:"let operators put clients offline and send messages, which needs a token"`
	TLSCert       string `default:"" check:"text" reload:"set" help:"file with the certificate to speak https by; empty: http"`
	TLSKey        string `default:"" check:"text" reload:"set" help:"file with the certificate's private key"`
}

// Metrics is the section [Metrics].
type Metrics struct {
	Item []int `default:"1,2,3,4,5,6,7,8,9,10,11,12,13" check:"1..13" help:"numbers of the items to answer with; empty: none"`
}

// Default returns the configuration without file, environment and flags.
func Default() Config {
	var c Config
	for _, f := range fieldsOf(&c) {
		if f.hasDefault {
			v, err := f.parse(f.def)
			if err != nil {
				panic(f.key + ": default: " + err.Error()) // the tags are part of the program
			}
			f.store(v)
		}
	}
	return c
}

package gateway_test

import (
	"context"
	"fmt"
	"log"
	"net"

	ws "github.com/gorilla/websocket"

	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/hooks"
	"github.com/sluicegate/sluice/transport"
	"github.com/sluicegate/sluice/transport/pipe"
)

// A gateway in memory, and one client of it. A real one listens with
// gnet.Listen("127.0.0.1:6060") instead.
func Example() {
	memory := pipe.New()
	gw, err := gateway.New(gateway.Config{
		Transports: []transport.Transport{memory},
		Path:       "/ws",
		Router: hooks.RouterFuncs{
			OnMessage: func(ctx context.Context, bus hooks.Bus, e hooks.MessageEvent) {
				_ = bus.Subscribe(ctx, e.UniqID, []string{"news"}, []byte("subscribed"))
			},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- gw.Run(ctx) }()
	<-gw.Ready()

	dialer := ws.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return memory.Dial(ctx) }}
	client, _, err := dialer.Dial("ws://gateway/ws", nil)
	if err != nil {
		log.Fatal(err)
	}
	_ = client.WriteMessage(ws.TextMessage, []byte("tell me the news"))
	_, answer, _ := client.ReadMessage()
	fmt.Println(string(answer))

	// The gateway is a Bus: any part of the program may use it.
	_ = gw.Publish(ctx, []string{"news"}, []byte("it works"))
	_, news, _ := client.ReadMessage()
	fmt.Println(string(news))

	stop()
	fmt.Println(<-done)
	_ = client.Close()
	// Output:
	// subscribed
	// it works
	// <nil>
}

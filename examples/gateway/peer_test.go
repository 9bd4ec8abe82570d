package main

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	peer "github.com/buexplain/netsvr-protocol-go/v6/netsvrProtocol"
	"google.golang.org/protobuf/proto"
)

// A peerBus speaks to a task listener with another package's types and nothing of
// ours, as existing clients of the protocol do.
type peerBus struct {
	t    *testing.T
	conn net.Conn
}

var _ commands = (*peerBus)(nil)

func dialPeer(t *testing.T, addr string) *peerBus {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return &peerBus{t, conn}
}

func (p *peerBus) tell(cmd peer.Cmd, m proto.Message) error {
	body, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	packet := binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))
	packet = binary.BigEndian.AppendUint32(packet, uint32(cmd))
	_, err = p.conn.Write(append(packet, body...))
	return err
}

func (p *peerBus) ask(cmd peer.Cmd, question, answer proto.Message) error {
	if err := p.tell(cmd, question); err != nil {
		return err
	}
	var head [8]byte
	if _, err := io.ReadFull(p.conn, head[:]); err != nil {
		return err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:])-4)
	if _, err := io.ReadFull(p.conn, body); err != nil {
		return err
	}
	if got := peer.Cmd(binary.BigEndian.Uint32(head[4:])); got != cmd {
		p.t.Fatalf("%v was answered by %v", cmd, got)
	}
	return proto.Unmarshal(body, answer)
}

func (p *peerBus) SingleCast(_ context.Context, uniqID string, data []byte) error {
	return p.tell(peer.Cmd_SingleCast, &peer.SingleCast{UniqId: uniqID, Data: data})
}

func (p *peerBus) Broadcast(_ context.Context, data []byte) error {
	return p.tell(peer.Cmd_Broadcast, &peer.Broadcast{Data: data})
}

func (p *peerBus) Subscribe(_ context.Context, uniqID string, topics []string, data []byte) error {
	return p.tell(peer.Cmd_TopicSubscribe, &peer.TopicSubscribe{UniqId: uniqID, Topics: topics, Data: data})
}

func (p *peerBus) Publish(_ context.Context, topics []string, data []byte) error {
	return p.tell(peer.Cmd_TopicPublish, &peer.TopicPublish{Topics: topics, Data: data})
}

func (p *peerBus) ForceOffline(_ context.Context, uniqIDs []string, data []byte) error {
	return p.tell(peer.Cmd_ForceOffline, &peer.ForceOffline{UniqIds: uniqIDs, Data: data})
}

func (p *peerBus) UniqIDs(context.Context) ([]string, error) {
	var r peer.UniqIdListResp
	err := p.ask(peer.Cmd_UniqIdList, &peer.UniqIdListResp{}, &r)
	return r.GetUniqIds(), err
}

func (p *peerBus) UniqIDCount(context.Context) (int, error) {
	var r peer.UniqIdCountResp
	err := p.ask(peer.Cmd_UniqIdCount, &peer.UniqIdCountResp{}, &r)
	return int(r.GetCount()), err
}

func (p *peerBus) TopicUniqIDCounts(_ context.Context, topics []string, all bool) (map[string]int, error) {
	var r peer.TopicUniqIdCountResp
	err := p.ask(peer.Cmd_TopicUniqIdCount, &peer.TopicUniqIdCountReq{Topics: topics, CountAll: all}, &r)
	counts := make(map[string]int)
	for topic, n := range r.GetItems() {
		counts[topic] = int(n)
	}
	return counts, err
}

package command_test

import (
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/protocol"
)

// row is a command with a body, the call of a bus that it makes, and what it is
// answered with.
type row struct {
	cmd   protocol.Cmd_Number
	body  proto.Message
	call  string
	reply proto.Message
}

func rows() []row {
	ids, data, bulk := []string{"a", "b"}, []byte("x"), [][]byte{[]byte("x"), []byte("y")}
	listed := []string{"p", "\uFFFD"} // as the wire has what a fakeBus lists
	return []row{
		{protocol.Cmd_Broadcast, &protocol.Broadcast{Data: data}, "Broadcast x", nil},
		{protocol.Cmd_Multicast, &protocol.Multicast{UniqIds: ids, Data: data}, "Multicast [a b] x", nil},
		{protocol.Cmd_MulticastByCustomerId, &protocol.MulticastByCustomerId{CustomerIds: ids, Data: data}, "MulticastByCustomerID [a b] x", nil},
		{protocol.Cmd_SingleCast, &protocol.SingleCast{UniqId: "a", Data: data}, "SingleCast a x", nil},
		{protocol.Cmd_SingleCastByCustomerId, &protocol.SingleCastByCustomerId{CustomerId: "a", Data: data}, "SingleCastByCustomerID a x", nil},
		{protocol.Cmd_SingleCastBulk, &protocol.SingleCastBulk{UniqIds: ids, Data: bulk}, "SingleCastBulk [a b] [x y]", nil},
		{protocol.Cmd_SingleCastBulkByCustomerId, &protocol.SingleCastBulkByCustomerId{CustomerIds: ids, Data: bulk}, "SingleCastBulkByCustomerID [a b] [x y]", nil},
		{protocol.Cmd_TopicPublish, &protocol.TopicPublish{Topics: ids, Data: data}, "Publish [a b] x", nil},
		{protocol.Cmd_TopicPublishBulk, &protocol.TopicPublishBulk{Topics: ids, Data: bulk}, "PublishBulk [a b] [x y]", nil},

		{protocol.Cmd_TopicSubscribe, &protocol.TopicSubscribe{UniqId: "c", Topics: ids, Data: data}, "Subscribe c [a b] x", nil},
		{protocol.Cmd_TopicUnsubscribe, &protocol.TopicUnsubscribe{UniqId: "c", Topics: ids, Data: data}, "Unsubscribe c [a b] x", nil},
		{protocol.Cmd_TopicDelete, &protocol.TopicDelete{Topics: ids, Data: data}, "DeleteTopics [a b] x", nil},
		{
			protocol.Cmd_ConnInfoUpdate,
			&protocol.ConnInfoUpdate{UniqId: "c", NewSession: "s", NewCustomerId: "d", NewTopics: ids, Data: data},
			"UpdateConnInfo {UniqID:c NewSession:s NewCustomerID:d NewTopics:[a b] Data:x}", nil,
		},
		{
			protocol.Cmd_ConnInfoDelete, &protocol.ConnInfoDelete{UniqId: "c", DelCustomerId: true, Data: data},
			"DeleteConnInfo {UniqID:c Session:false CustomerID:true Topics:false Data:x}", nil,
		},
		{protocol.Cmd_ForceOffline, &protocol.ForceOffline{UniqIds: ids, Data: data}, "ForceOffline [a b] x", nil},
		{protocol.Cmd_ForceOfflineByCustomerId, &protocol.ForceOfflineByCustomerId{CustomerIds: ids, Data: data}, "ForceOfflineByCustomerID [a b] x", nil},
		{protocol.Cmd_ForceOfflineGuest, &protocol.ForceOfflineGuest{UniqIds: ids, Delay: 3, Data: data}, "ForceOfflineGuest [a b] 3s x", nil},
		{
			protocol.Cmd_Limit, &protocol.LimitReq{OnOpen: 1, OnMessage: 2},
			"Limit {OnOpen:1 OnMessage:2}", &protocol.LimitResp{OnOpen: 3, OnMessage: 4},
		},

		{protocol.Cmd_CheckOnline, &protocol.CheckOnlineReq{UniqIds: ids}, "CheckOnline [a b]", &protocol.CheckOnlineResp{UniqIds: ids}},
		{protocol.Cmd_UniqIdList, nil, "UniqIDs", &protocol.UniqIdListResp{UniqIds: ids}},
		{protocol.Cmd_UniqIdCount, nil, "UniqIDCount", &protocol.UniqIdCountResp{Count: 5}},
		{protocol.Cmd_CustomerIdList, nil, "CustomerIDs", &protocol.CustomerIdListResp{CustomerIds: listed}},
		{protocol.Cmd_CustomerIdCount, nil, "CustomerIDCount", &protocol.CustomerIdCountResp{Count: 6}},
		{protocol.Cmd_TopicList, nil, "Topics", &protocol.TopicListResp{Topics: listed}},
		{protocol.Cmd_TopicCount, nil, "TopicCount", &protocol.TopicCountResp{Count: 7}},
		{
			protocol.Cmd_TopicUniqIdList, &protocol.TopicUniqIdListReq{Topics: ids}, "TopicUniqIDs [a b]",
			&protocol.TopicUniqIdListResp{Items: map[string]*protocol.TopicUniqIdListResp_Item{"\uFFFD": {UniqIds: ids}}},
		},
		{
			protocol.Cmd_TopicUniqIdCount, &protocol.TopicUniqIdCountReq{Topics: ids, CountAll: true}, "TopicUniqIDCounts [a b] true",
			&protocol.TopicUniqIdCountResp{Items: map[string]int32{"\uFFFD": 8}},
		},
		{
			protocol.Cmd_TopicCustomerIdList, &protocol.TopicCustomerIdListReq{Topics: ids}, "TopicCustomerIDs [a b]",
			&protocol.TopicCustomerIdListResp{Items: map[string]*protocol.TopicCustomerIdListResp_Item{"\uFFFD": {CustomerIds: listed}}},
		},
		{
			protocol.Cmd_TopicCustomerIdToUniqIdsList, &protocol.TopicCustomerIdToUniqIdsListReq{Topics: ids}, "TopicCustomerUniqIDs [a b]",
			&protocol.TopicCustomerIdToUniqIdsListResp{Items: map[string]*protocol.TopicCustomerIdToUniqIdsListResp_Item{
				"\uFFFD": {Items: map[string]*protocol.TopicCustomerIdToUniqIdsListResp_Customer{"\uFFFD": {UniqIds: ids}}},
			}},
		},
		{
			protocol.Cmd_TopicCustomerIdCount, &protocol.TopicCustomerIdCountReq{Topics: ids, CountAll: true}, "TopicCustomerIDCounts [a b] true",
			&protocol.TopicCustomerIdCountResp{Items: map[string]int32{"\uFFFD": 9}},
		},
		{
			protocol.Cmd_ConnInfo, &protocol.ConnInfoReq{UniqIds: ids, ReqCustomerId: true},
			"ConnInfo [a b] {UniqID:false Session:false CustomerID:true Topics:false}",
			&protocol.ConnInfoResp{Items: map[string]*protocol.ConnInfoResp_Item{
				"a": {Session: "\uFFFD", CustomerId: "d", Topics: listed},
			}},
		},
		{
			protocol.Cmd_ConnInfoByCustomerId, &protocol.ConnInfoByCustomerIdReq{CustomerIds: ids, ReqUniqId: true},
			"ConnInfoByCustomerID [a b] {UniqID:true Session:false CustomerID:false Topics:false}",
			&protocol.ConnInfoByCustomerIdResp{Items: map[string]*protocol.ConnInfoByCustomerIdResp_Items{
				"d": {Items: []*protocol.ConnInfoByCustomerIdResp_Item{{UniqId: "a", Session: "\uFFFD", Topics: listed}}},
			}},
		},
		{
			protocol.Cmd_Metrics, nil, "Metrics",
			&protocol.MetricsResp{Items: map[int32]*protocol.MetricsResp_Item{
				1: {Item: 1, Count: 2, MeanRate: 0.5, Rate1: 1, Rate5: 5, Rate15: 15},
			}},
		},
	}
}

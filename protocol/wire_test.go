package protocol_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sluicegate/sluice/protocol"
)

// wantMessages is the table of the specification, written out once more by hand, so that neither our .proto nor the
// peer's package can drift from it unnoticed.
var wantMessages = map[string]string{
	"ConnOpen":  "uniqId 1 string, rawQuery 2 string, xForwardedFor 3 string, xRealIp 4 string, remoteAddr 5 string",
	"ConnClose": "uniqId 1 string, customerId 2 string, session 3 string, topics 4 repeated string",
	"Transfer":  "uniqId 1 string, customerId 2 string, session 3 string, topics 4 repeated string, data 5 bytes",

	"ConnInfoUpdate":             "uniqId 1 string, newSession 3 string, newCustomerId 4 string, newTopics 5 repeated string, data 6 bytes",
	"ConnInfoDelete":             "uniqId 1 string, delSession 2 bool, delCustomerId 3 bool, delTopic 4 bool, data 5 bytes",
	"Broadcast":                  "data 1 bytes",
	"Multicast":                  "uniqIds 1 repeated string, data 2 bytes",
	"MulticastByCustomerId":      "customerIds 1 repeated string, data 2 bytes",
	"SingleCast":                 "uniqId 1 string, data 2 bytes",
	"SingleCastBulk":             "uniqIds 1 repeated string, data 2 repeated bytes",
	"SingleCastByCustomerId":     "customerId 1 string, data 2 bytes",
	"SingleCastBulkByCustomerId": "customerIds 1 repeated string, data 2 repeated bytes",
	"TopicSubscribe":             "uniqId 1 string, topics 2 repeated string, data 3 bytes",
	"TopicUnsubscribe":           "uniqId 1 string, topics 2 repeated string, data 3 bytes",
	"TopicDelete":                "topics 1 repeated string, data 2 bytes",
	"TopicPublish":               "topics 1 repeated string, data 2 bytes",
	"TopicPublishBulk":           "topics 1 repeated string, data 2 repeated bytes",
	"ForceOffline":               "uniqIds 1 repeated string, data 2 bytes",
	"ForceOfflineByCustomerId":   "customerIds 1 repeated string, data 2 bytes",
	"ForceOfflineGuest":          "uniqIds 1 repeated string, delay 2 int32, data 3 bytes",

	"RegisterReq":                      "events 1 int32",
	"RegisterResp":                     "code 1 enum, message 2 string, connId 3 string",
	"UnregisterReq":                    "connId 1 string",
	"UnregisterResp":                   "",
	"CheckOnlineReq":                   "uniqIds 1 repeated string",
	"CheckOnlineResp":                  "uniqIds 1 repeated string",
	"CustomerIdListResp":               "customerIds 1 repeated string",
	"CustomerIdCountResp":              "count 1 int32",
	"UniqIdListResp":                   "uniqIds 1 repeated string",
	"UniqIdCountResp":                  "count 1 int32",
	"TopicListResp":                    "topics 1 repeated string",
	"TopicCountResp":                   "count 1 int32",
	"TopicUniqIdListReq":               "topics 1 repeated string",
	"TopicUniqIdListResp":              "items 2 map<string, {uniqIds 1 repeated string}>",
	"TopicUniqIdCountReq":              "topics 1 repeated string, countAll 2 bool",
	"TopicUniqIdCountResp":             "items 1 map<string, int32>",
	"TopicCustomerIdListReq":           "topics 1 repeated string",
	"TopicCustomerIdListResp":          "items 1 map<string, {customerIds 1 repeated string}>",
	"TopicCustomerIdToUniqIdsListReq":  "topics 1 repeated string",
	"TopicCustomerIdToUniqIdsListResp": "items 1 map<string, {items 1 map<string, {uniqIds 1 repeated string}>}>",
	"TopicCustomerIdCountReq":          "topics 1 repeated string, countAll 2 bool",
	"TopicCustomerIdCountResp":         "items 1 map<string, int32>",
	"ConnInfoReq":                      "uniqIds 1 repeated string, reqSession 2 bool, reqCustomerId 3 bool, reqTopic 4 bool",
	"ConnInfoResp":                     "items 1 map<string, {session 1 string, customerId 2 string, topics 3 repeated string}>",
	"ConnInfoByCustomerIdReq":          "customerIds 1 repeated string, reqSession 2 bool, reqUniqId 3 bool, reqTopic 4 bool",
	"ConnInfoByCustomerIdResp":         "items 1 map<string, {items 1 repeated {session 1 string, uniqId 2 string, topics 3 repeated string}}>",
	"MetricsResp":                      "items 1 map<int32, {item 1 int32, count 2 int64, meanRate 3 float, rate1 5 float, rate5 7 float, rate15 9 float}>",
	"LimitReq":                         "onOpen 1 int32, onMessage 2 int32",
	"LimitResp":                        "onOpen 1 int32, onMessage 2 int32",

	"ConnOpenResp": "allow 1 bool, newSession 2 string, newCustomerId 3 string, newTopics 4 repeated string, data 5 bytes",
}

var wantCommands = map[string]int32{
	"Placeholder": 0,

	"ConnOpen":  900001001,
	"ConnClose": 900001002,
	"Transfer":  900001003,

	"ConnInfoUpdate":             900002001,
	"ConnInfoDelete":             900002002,
	"Broadcast":                  900002003,
	"Multicast":                  900002004,
	"MulticastByCustomerId":      900002005,
	"SingleCast":                 900002006,
	"SingleCastBulk":             900002007,
	"SingleCastByCustomerId":     900002008,
	"SingleCastBulkByCustomerId": 900002009,
	"TopicSubscribe":             900002010,
	"TopicUnsubscribe":           900002011,
	"TopicDelete":                900002012,
	"TopicPublish":               900002013,
	"TopicPublishBulk":           900002014,
	"ForceOffline":               900002015,
	"ForceOfflineByCustomerId":   900002016,
	"ForceOfflineGuest":          900002017,

	"Register":                     900003001,
	"Unregister":                   900003002,
	"CheckOnline":                  900003003,
	"CustomerIdList":               900003004,
	"CustomerIdCount":              900003005,
	"UniqIdList":                   900003006,
	"UniqIdCount":                  900003007,
	"TopicList":                    900003008,
	"TopicCount":                   900003009,
	"TopicUniqIdList":              900003010,
	"TopicUniqIdCount":             900003011,
	"TopicCustomerIdList":          900003012,
	"TopicCustomerIdToUniqIdsList": 900003013,
	"TopicCustomerIdCount":         900003014,
	"ConnInfo":                     900003015,
	"ConnInfoByCustomerId":         900003016,
	"Metrics":                      900003017,
	"Limit":                        900003018,
}

func TestMessagesMatchSpecification(t *testing.T) {
	got := map[string]string{}
	for name, msg := range topLevelMessages() {
		got[name] = describe(msg)
	}
	compareMaps(t, "message", got, wantMessages)
}

func TestNumbersMatchSpecification(t *testing.T) {
	for _, tt := range []struct {
		kind string
		enum protoreflect.Enum
		want map[string]int32
	}{
		{"command", protocol.Cmd_Placeholder, wantCommands},
		{"event", protocol.Event_Placeholder, map[string]int32{"Placeholder": 0, "OnOpen": 1, "OnClose": 2, "OnMessage": 4}},
		{"register code", protocol.RegisterResp_Success, map[string]int32{
			"Success": 0, "UnmarshalError": 1, "InvalidEvent": 2, "DuplicateRegister": 3,
		}},
	} {
		compareMaps(t, tt.kind, enumValues(tt.enum.Descriptor()), tt.want)
	}
}

// Every command that has a body has it under the name the specification gives it.
func TestCommandsHaveBodies(t *testing.T) {
	var numbers []int32
	for name, number := range wantCommands {
		if number == 0 {
			continue
		}
		numbers = append(numbers, number)
		wanted := []string{name}
		if number > 900003000 {
			wanted = []string{name + "Resp"}
			if _, ok := wantMessages[name+"Req"]; ok {
				wanted = append(wanted, name+"Req")
			}
		}
		for _, body := range wanted {
			if protocol.File_protocol_sluice_proto.Messages().ByName(protoreflect.Name(body)) == nil {
				t.Errorf("command %s has no message %s", name, body)
			}
		}
	}
	slices.Sort(numbers)
	if len(slices.Compact(numbers)) != 38 {
		t.Errorf("%d distinct commands, want 38", len(numbers))
	}
}

func TestUnicodeIsRequired(t *testing.T) {
	if _, err := proto.Marshal(&protocol.ConnOpen{UniqId: "\xff"}); err == nil {
		t.Error("a string that is not UTF-8 was encoded")
	}
	body := []byte{1<<3 | 2, 1, 0xff}
	if err := proto.Unmarshal(body, &protocol.ConnOpen{}); err == nil {
		t.Error("a string that is not UTF-8 was decoded")
	}
}

// topLevelMessages returns the messages that travel; the others only hold enums.
func topLevelMessages() map[string]protoreflect.MessageDescriptor {
	all := protocol.File_protocol_sluice_proto.Messages()
	travelling := map[string]protoreflect.MessageDescriptor{}
	for i := range all.Len() {
		msg := all.Get(i)
		if msg.Name() != "Cmd" && msg.Name() != "Event" {
			travelling[string(msg.Name())] = msg
		}
	}
	return travelling
}

func enumValues(enum protoreflect.EnumDescriptor) map[string]int32 {
	values := map[string]int32{}
	for i := range enum.Values().Len() {
		v := enum.Values().Get(i)
		values[string(v.Name())] = int32(v.Number())
	}
	return values
}

// describe renders a message in the notation of the specification.
func describe(msg protoreflect.MessageDescriptor) string {
	fields := make([]protoreflect.FieldDescriptor, msg.Fields().Len())
	for i := range fields {
		fields[i] = msg.Fields().Get(i)
	}
	slices.SortFunc(fields, func(a, b protoreflect.FieldDescriptor) int { return int(a.Number() - b.Number()) })
	var parts []string
	for _, f := range fields {
		kind := describeKind(f)
		switch {
		case f.IsMap():
			kind = fmt.Sprintf("map<%s, %s>", describeKind(f.MapKey()), describeKind(f.MapValue()))
		case f.IsList():
			kind = "repeated " + kind
		}
		parts = append(parts, fmt.Sprintf("%s %d %s", f.Name(), f.Number(), kind))
	}
	return strings.Join(parts, ", ")
}

func describeKind(f protoreflect.FieldDescriptor) string {
	if f.Kind() == protoreflect.MessageKind {
		return "{" + describe(f.Message()) + "}"
	}
	return f.Kind().String()
}

func compareMaps[V comparable](t *testing.T, kind string, got, want map[string]V) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if g, ok := got[name]; !ok {
			t.Errorf("%s %s is missing", kind, name)
		} else if g != want[name] {
			t.Errorf("%s %s is %v, want %v", kind, name, g, want[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			t.Errorf("%s %s is not in the specification", kind, name)
		}
	}
}

package protocol_test

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	peer "github.com/buexplain/netsvr-protocol-go/v6/netsvrProtocol"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"github.com/sluicegate/sluice/protocol"
)

// pairs holds each of our messages beside the one that an independent package, in use by existing clients, has for the
// same purpose.
var pairs = []struct{ ours, theirs proto.Message }{
	{&protocol.ConnOpen{}, &peer.ConnOpen{}},
	{&protocol.ConnClose{}, &peer.ConnClose{}},
	{&protocol.Transfer{}, &peer.Transfer{}},
	{&protocol.ConnInfoUpdate{}, &peer.ConnInfoUpdate{}},
	{&protocol.ConnInfoDelete{}, &peer.ConnInfoDelete{}},
	{&protocol.Broadcast{}, &peer.Broadcast{}},
	{&protocol.Multicast{}, &peer.Multicast{}},
	{&protocol.MulticastByCustomerId{}, &peer.MulticastByCustomerId{}},
	{&protocol.SingleCast{}, &peer.SingleCast{}},
	{&protocol.SingleCastBulk{}, &peer.SingleCastBulk{}},
	{&protocol.SingleCastByCustomerId{}, &peer.SingleCastByCustomerId{}},
	{&protocol.SingleCastBulkByCustomerId{}, &peer.SingleCastBulkByCustomerId{}},
	{&protocol.TopicSubscribe{}, &peer.TopicSubscribe{}},
	{&protocol.TopicUnsubscribe{}, &peer.TopicUnsubscribe{}},
	{&protocol.TopicDelete{}, &peer.TopicDelete{}},
	{&protocol.TopicPublish{}, &peer.TopicPublish{}},
	{&protocol.TopicPublishBulk{}, &peer.TopicPublishBulk{}},
	{&protocol.ForceOffline{}, &peer.ForceOffline{}},
	{&protocol.ForceOfflineByCustomerId{}, &peer.ForceOfflineByCustomerId{}},
	{&protocol.ForceOfflineGuest{}, &peer.ForceOfflineGuest{}},
	{&protocol.RegisterReq{}, &peer.RegisterReq{}},
	{&protocol.RegisterResp{}, &peer.RegisterResp{}},
	{&protocol.UnregisterReq{}, &peer.UnRegisterReq{}},
	{&protocol.UnregisterResp{}, &peer.UnRegisterResp{}},
	{&protocol.CheckOnlineReq{}, &peer.CheckOnlineReq{}},
	{&protocol.CheckOnlineResp{}, &peer.CheckOnlineResp{}},
	{&protocol.CustomerIdListResp{}, &peer.CustomerIdListResp{}},
	{&protocol.CustomerIdCountResp{}, &peer.CustomerIdCountResp{}},
	{&protocol.UniqIdListResp{}, &peer.UniqIdListResp{}},
	{&protocol.UniqIdCountResp{}, &peer.UniqIdCountResp{}},
	{&protocol.TopicListResp{}, &peer.TopicListResp{}},
	{&protocol.TopicCountResp{}, &peer.TopicCountResp{}},
	{&protocol.TopicUniqIdListReq{}, &peer.TopicUniqIdListReq{}},
	{&protocol.TopicUniqIdListResp{}, &peer.TopicUniqIdListResp{}},
	{&protocol.TopicUniqIdCountReq{}, &peer.TopicUniqIdCountReq{}},
	{&protocol.TopicUniqIdCountResp{}, &peer.TopicUniqIdCountResp{}},
	{&protocol.TopicCustomerIdListReq{}, &peer.TopicCustomerIdListReq{}},
	{&protocol.TopicCustomerIdListResp{}, &peer.TopicCustomerIdListResp{}},
	{&protocol.TopicCustomerIdToUniqIdsListReq{}, &peer.TopicCustomerIdToUniqIdsListReq{}},
	{&protocol.TopicCustomerIdToUniqIdsListResp{}, &peer.TopicCustomerIdToUniqIdsListResp{}},
	{&protocol.TopicCustomerIdCountReq{}, &peer.TopicCustomerIdCountReq{}},
	{&protocol.TopicCustomerIdCountResp{}, &peer.TopicCustomerIdCountResp{}},
	{&protocol.ConnInfoReq{}, &peer.ConnInfoReq{}},
	{&protocol.ConnInfoResp{}, &peer.ConnInfoResp{}},
	{&protocol.ConnInfoByCustomerIdReq{}, &peer.ConnInfoByCustomerIdReq{}},
	{&protocol.ConnInfoByCustomerIdResp{}, &peer.ConnInfoByCustomerIdResp{}},
	{&protocol.MetricsResp{}, &peer.MetricsResp{}},
	{&protocol.LimitReq{}, &peer.LimitReq{}},
	{&protocol.LimitResp{}, &peer.LimitResp{}},
	{&protocol.ConnOpenResp{}, &peer.ConnOpenResp{}},
}

func TestPairsAreComplete(t *testing.T) {
	missing := topLevelMessages()
	for _, p := range pairs {
		ours, theirs := p.ours.ProtoReflect().Descriptor(), p.theirs.ProtoReflect().Descriptor()
		if _, ok := missing[string(ours.Name())]; !ok {
			t.Errorf("%s stands twice in the table", ours.Name())
		}
		delete(missing, string(ours.Name()))
		if !strings.EqualFold(string(ours.Name()), string(theirs.Name())) {
			t.Errorf("%s is paired with %s", ours.Name(), theirs.Name())
		}
	}
	for name := range missing {
		t.Errorf("%s has no peer in the table", name)
	}
}

func TestNumbersMatchPeer(t *testing.T) {
	for _, tt := range []struct {
		kind         string
		ours, theirs protoreflect.Enum
	}{
		{"command", protocol.Cmd_Placeholder, peer.Cmd_Placeholder},
		{"event", protocol.Event_Placeholder, peer.Event_Placeholder},
		{"register code", protocol.RegisterResp_Success, peer.RegisterRespCode_Success},
	} {
		compareMaps(t, tt.kind, enumValues(tt.ours.Descriptor()), enumValues(tt.theirs.Descriptor()))
	}
}

func TestFieldsMatchPeer(t *testing.T) {
	for _, p := range pairs {
		ours, theirs := p.ours.ProtoReflect().Descriptor(), p.theirs.ProtoReflect().Descriptor()
		for _, problem := range compareFields(string(ours.Name()), ours, theirs) {
			t.Error(problem)
		}
	}
}

func compareFields(path string, ours, theirs protoreflect.MessageDescriptor) (problems []string) {
	for i := range theirs.Fields().Len() {
		if f := theirs.Fields().Get(i); ours.Fields().ByNumber(f.Number()) == nil {
			problems = append(problems, fmt.Sprintf("%s: only the peer has field %d", path, f.Number()))
		}
	}
	for i := range ours.Fields().Len() {
		our := ours.Fields().Get(i)
		path := fmt.Sprintf("%s.%s", path, our.Name())
		their := theirs.Fields().ByNumber(our.Number())
		if their == nil {
			problems = append(problems, fmt.Sprintf("%s: the peer has no field %d", path, our.Number()))
			continue
		}
		if our.Kind() != their.Kind() || our.Cardinality() != their.Cardinality() || our.IsMap() != their.IsMap() ||
			our.IsPacked() != their.IsPacked() || our.HasPresence() != their.HasPresence() {
			problems = append(problems, fmt.Sprintf("%s: %v, the peer has %v", path, our, their))
			continue
		}
		if our.Kind() == protoreflect.MessageKind {
			problems = append(problems, compareFields(path, our.Message(), their.Message())...)
		}
	}
	return problems
}

func TestRoundTripThroughPeer(t *testing.T) {
	for _, p := range pairs {
		t.Run(string(p.ours.ProtoReflect().Descriptor().Name()), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				ours := p.ours.ProtoReflect().New()
				fillMessage(t, ours)
				theirs := p.theirs.ProtoReflect().New()
				recode(t, ours, theirs)
				if diff := diffMessages("", ours, theirs); diff != "" {
					t.Fatalf("the peer reads something else: %s", diff)
				}
				back := p.ours.ProtoReflect().New()
				recode(t, theirs, back)
				if !proto.Equal(ours.Interface(), back.Interface()) {
					t.Fatalf("came back from the peer as %v, was %v", back, ours)
				}
			})
		})
	}
}

func recode(t *rapid.T, from, to protoreflect.Message) {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(from.Interface())
	if err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(body, to.Interface()); err != nil {
		t.Fatal(err)
	}
}

// fillMessage gives every field a value other than its zero value, since zero values do not travel.
func fillMessage(t *rapid.T, msg protoreflect.Message) {
	for i := range msg.Descriptor().Fields().Len() {
		f := msg.Descriptor().Fields().Get(i)
		count := rapid.IntRange(1, 3).Draw(t, "count")
		switch {
		case f.IsMap():
			m := msg.Mutable(f).Map()
			for range count {
				v := m.NewValue()
				if f.MapValue().Kind() == protoreflect.MessageKind {
					fillMessage(t, v.Message())
				} else {
					v = drawScalar(t, f.MapValue())
				}
				m.Set(drawScalar(t, f.MapKey()).MapKey(), v)
			}
		case f.IsList():
			l := msg.Mutable(f).List()
			for range count {
				if f.Kind() == protoreflect.MessageKind {
					fillMessage(t, l.AppendMutable().Message())
				} else {
					l.Append(drawScalar(t, f))
				}
			}
		case f.Kind() == protoreflect.MessageKind:
			fillMessage(t, msg.Mutable(f).Message())
		default:
			msg.Set(f, drawScalar(t, f))
		}
	}
}

func drawScalar(t *rapid.T, f protoreflect.FieldDescriptor) protoreflect.Value {
	name := string(f.Name())
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(rapid.StringN(1, 20, -1).Draw(t, name))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, name))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(rapid.Int32().Filter(func(v int32) bool { return v != 0 }).Draw(t, name))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(rapid.Int64().Filter(func(v int64) bool { return v != 0 }).Draw(t, name))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(rapid.Float32Range(0.001, math.MaxFloat32).Draw(t, name))
	case protoreflect.EnumKind:
		values := f.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(rapid.IntRange(1, values.Len()-1).Draw(t, name)).Number())
	}
	t.Fatalf("no values for fields of kind %v", f.Kind())
	return protoreflect.Value{}
}

// diffMessages compares two messages of different types by the numbers of their fields. Both must have the same fields
// set, and nothing may be left over as unknown.
func diffMessages(path string, ours, theirs protoreflect.Message) string {
	if len(theirs.GetUnknown()) > 0 {
		return path + ": the peer does not know all fields"
	}
	if a, b := setFields(ours), setFields(theirs); !slices.Equal(a, b) {
		return fmt.Sprintf("%s: fields %v are set, not %v", path, b, a)
	}
	for i := range ours.Descriptor().Fields().Len() {
		f := ours.Descriptor().Fields().Get(i)
		path := fmt.Sprintf("%s.%s", path, f.Name())
		a, b := ours.Get(f), theirs.Get(theirs.Descriptor().Fields().ByNumber(f.Number()))
		if diff := diffField(path, f, a, b); diff != "" {
			return diff
		}
	}
	return ""
}

func diffField(path string, f protoreflect.FieldDescriptor, a, b protoreflect.Value) (diff string) {
	switch {
	case f.IsMap():
		if a.Map().Len() != b.Map().Len() {
			return fmt.Sprintf("%s: %d entries, not %d", path, b.Map().Len(), a.Map().Len())
		}
		a.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			entry := fmt.Sprintf("%s[%v]", path, k)
			if !b.Map().Has(k) {
				diff = entry + ": missing"
			} else {
				diff = diffValue(entry, f.MapValue(), v, b.Map().Get(k))
			}
			return diff == ""
		})
		return diff
	case f.IsList():
		if a.List().Len() != b.List().Len() {
			return fmt.Sprintf("%s: %d elements, not %d", path, b.List().Len(), a.List().Len())
		}
		for i := range a.List().Len() {
			if diff = diffValue(fmt.Sprintf("%s[%d]", path, i), f, a.List().Get(i), b.List().Get(i)); diff != "" {
				return diff
			}
		}
		return ""
	}
	return diffValue(path, f, a, b)
}

func diffValue(path string, f protoreflect.FieldDescriptor, a, b protoreflect.Value) string {
	var same bool
	switch f.Kind() {
	case protoreflect.MessageKind:
		return diffMessages(path, a.Message(), b.Message())
	case protoreflect.BytesKind:
		same = bytes.Equal(a.Bytes(), b.Bytes())
	default:
		same = a.Interface() == b.Interface()
	}
	if !same {
		return fmt.Sprintf("%s: %v, not %v", path, b, a)
	}
	return ""
}

func setFields(msg protoreflect.Message) []protoreflect.FieldNumber {
	numbers := map[protoreflect.FieldNumber]bool{}
	msg.Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		numbers[f.Number()] = true
		return true
	})
	return slices.Sorted(maps.Keys(numbers))
}

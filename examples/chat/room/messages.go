package room

import "encoding/json"

// This file is the whole protocol between the page and the handler. Each
// message is one JSON object in one WebSocket message; its "type" says which.
//
// A client sends a [Request], first of all one of type "nick". Everything else
// here is sent to clients. Names of rooms and nicknames are compared and shown
// in lower case. What a client may not do is answered with an [Error].

// Request is what a client asks for. Type decides which fields count:
//
//	{"type":"nick", "nick":"mira", "key":"…"}   take a nickname, once per connection
//	{"type":"rooms"}                            list the rooms: answered with Rooms
//	{"type":"join", "room":"harbour"}           enter a room: answered with Members
//	{"type":"leave", "room":"harbour"}          leave it: answered with Left
//	{"type":"say", "room":"harbour", "text":…}  talk in a room one is a member of
//	{"type":"whisper", "nick":"jonas", "text":…}
//	{"type":"kick", "room":"harbour", "nick":"jonas"}
//
// Key is a secret that the client makes up. A client that lost its connection
// takes its nickname back with it, although the gateway may not have noticed
// yet that the old connection is dead.
type Request struct {
	Type string `json:"type"`
	Nick string `json:"nick,omitempty"`
	Key  string `json:"key,omitempty"`
	Room string `json:"room,omitempty"`
	Text string `json:"text,omitempty"`
}

// Types of a Request.
const (
	TypeNick    = "nick"
	TypeRooms   = "rooms"
	TypeJoin    = "join"
	TypeLeave   = "leave"
	TypeSay     = "say"
	TypeWhisper = "whisper"
	TypeKick    = "kick"
)

// Welcome has type "welcome" and answers "nick": the name is taken. Rooms follows.
type Welcome struct {
	Nick string `json:"nick"`
}

// Rooms has type "rooms" and lists the rooms, those with most members first. It
// replaces what the client knew of them, and may come again.
type Rooms struct {
	Rooms []Count `json:"rooms"`
}

// Count has type "count" and tells everybody with a nickname how many members a room
// has now. A room with none is gone.
type Count struct {
	Room    string `json:"room"`
	Members int    `json:"members"`
}

// Members has type "members" and answers "join" with everybody in the room, sorted.
// It replaces what the client knew of them, and may come again.
type Members struct {
	Room    string   `json:"room"`
	Members []Member `json:"members"`
}

// Member is one member of a room. Hosts may kick.
type Member struct {
	Nick string `json:"nick"`
	Host bool   `json:"host"`
}

// Presence has type "presence" and tells a room what now holds for one nickname. It
// may repeat what is known already.
type Presence struct {
	Room string `json:"room"`
	Nick string `json:"nick"`
	In   bool   `json:"in"`
	Host bool   `json:"host"`
}

// Left has type "left" and answers "leave".
type Left struct {
	Room string `json:"room"`
}

// Said has type "said" and is what a member said, sent to all members, the speaker
// too.
type Said struct {
	Room string `json:"room"`
	Nick string `json:"nick"`
	Text string `json:"text"`
}

// Whisper has type "whisper" and goes to the one it is for and back to the one who
// sent it.
type Whisper struct {
	From string `json:"from"`
	To   string `json:"to"`
	Text string `json:"text"`
}

// Kicked has type "kicked" and tells a room that a host put somebody out. Presence
// follows.
type Kicked struct {
	Room string `json:"room"`
	Nick string `json:"nick"`
	By   string `json:"by"`
}

// Offline has type "offline" and is the last message before the gateway closes the
// connection with code 1008. Reason is "kicked" (Room and By say by whom),
// "replaced" (the same client came back on a newer connection) or "guest" (no
// nickname was chosen in time).
type Offline struct {
	Reason string `json:"reason"`
	Room   string `json:"room,omitempty"`
	By     string `json:"by,omitempty"`
}

// Reasons of Offline.
const (
	ReasonKicked   = "kicked"
	ReasonReplaced = "replaced"
	ReasonGuest    = "guest"
)

// Error has type "error" and says why a Request was not carried out. Re is the
// request's type, if there was one; Text is for people.
type Error struct {
	Re   string `json:"re"`
	Code string `json:"code"`
	Text string `json:"text"`
}

// Codes of Error.
const (
	CodeMalformed = "malformed"  // not a JSON object of this protocol
	CodeUnknown   = "unknown"    // no such type
	CodeBadNick   = "bad-nick"   // not a nickname
	CodeBadRoom   = "bad-room"   // not a name for a room
	CodeBadText   = "bad-text"   // empty or too long
	CodeBadKey    = "bad-key"    // too short or too long
	CodeNickTaken = "nick-taken" // somebody else has that nickname
	CodeNamed     = "named"      // this connection has a nickname already
	CodeNoNick    = "no-nick"    // choose a nickname first
	CodeNotMember = "not-member" // you are not a member of that room
	CodeNoSuch    = "no-such"    // nobody by that name is here
	CodeNotHost   = "not-host"   // only a host may do that
	CodeSelf      = "self"       // not to yourself
	CodeTooMany   = "too-many"   // a member of too many rooms
	CodePartly    = "partly"     // done for some; trying again would do it twice for them
	CodeFailed    = "failed"     // not the client's fault; try again
)

// A message knows its own type, so that none is sent under another's.
type message interface{ kind() string }

func (Welcome) kind() string  { return "welcome" }
func (Rooms) kind() string    { return "rooms" }
func (Count) kind() string    { return "count" }
func (Members) kind() string  { return "members" }
func (Presence) kind() string { return "presence" }
func (Left) kind() string     { return "left" }
func (Said) kind() string     { return "said" }
func (Whisper) kind() string  { return "whisper" }
func (Kicked) kind() string   { return "kicked" }
func (Offline) kind() string  { return "offline" }
func (Error) kind() string    { return "error" }

// encode renders m with its type as the first field.
func encode(m message) []byte {
	body, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings, numbers and bools: it cannot fail
	}
	head := `{"type":"` + m.kind() + `",`
	return append([]byte(head), body[1:]...)
}

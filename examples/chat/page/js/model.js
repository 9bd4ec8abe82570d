// What the page knows, and what each message of the chat changes about it.
// There is no DOM in here. The messages are described in room/messages.go.

const KEEP = 500; // entries for each room and whisper

export class Model {
  nick = '';
  lobby = new Map();  // room -> number of members
  talks = new Map();  // id -> talk, see #talk
  active = '';        // id of the talk on the screen
  offline = null;     // why the chat put us offline

  get current() { return this.talks.get(this.active); }
  get rooms() { return [...this.talks.values()].filter((t) => t.kind === 'room'); }
  get whispers() { return [...this.talks.values()].filter((t) => t.kind === 'whisper'); }

  // A talk is a room that we are in, "#name", or a whisper with somebody,
  // "@name".
  #talk(kind, name) {
    const id = (kind === 'room' ? '#' : '@') + name;
    let t = this.talks.get(id);
    if (!t) {
      t = { id, kind, name, joined: false, members: new Map(), kicked: new Set(), entries: [], unread: 0 };
      this.talks.set(id, t);
    }
    return t;
  }

  // want notes a room to be in again once there is a connection.
  want(room) { return this.#talk('room', room); }
  whisperTo(nick) { return this.#talk('whisper', nick); }

  // seen opens a talk on the screen, where nothing is unread.
  seen(id) {
    this.active = id;
    const t = this.current;
    if (t && !document.hidden) t.unread = 0;
  }

  drop(id) {
    this.talks.delete(id);
    if (this.active === id) this.active = this.talks.keys().next().value ?? '';
  }

  // The connection is gone, and with it all memberships.
  disconnected() {
    for (const t of this.rooms) {
      t.joined = false;
      t.members.clear();
    }
    this.lobby.clear();
  }

  // apply returns the talk that got a new entry, if any.
  apply(m) {
    switch (m.type) {
      case 'welcome':
        this.nick = m.nick;
        return null;
      case 'rooms':
        this.lobby = new Map(m.rooms.map((r) => [r.room, r.members]));
        return null;
      case 'count':
        if (m.members > 0) this.lobby.set(m.room, m.members);
        else this.lobby.delete(m.room);
        return null;
      case 'members': return this.#members(m);
      case 'presence': return this.#presence(m);
      case 'left':
        this.drop('#' + m.room);
        return null;
      case 'said':
        return this.#add(this.talks.get('#' + m.room), { from: m.nick, text: m.text });
      case 'whisper':
        return this.#add(this.#talk('whisper', m.from === this.nick ? m.to : m.from), { from: m.from, text: m.text });
      case 'kicked': {
        const t = this.talks.get('#' + m.room);
        t?.kicked.add(m.nick);
        return this.#note(t, `${m.nick} was removed by ${m.by}`);
      }
      case 'offline':
        this.offline = m;
        return null;
    }
    return null;
  }

  #members(m) {
    const t = this.#talk('room', m.room);
    const again = t.joined;
    t.members = new Map(m.members.map((x) => [x.nick, { host: x.host }]));
    t.joined = true;
    if (again) return null;
    return this.#note(t, t.entries.length ? 'You are back' : 'You joined');
  }

  #presence(m) {
    const t = this.talks.get('#' + m.room);
    if (!t?.joined) return null;
    const was = t.members.get(m.nick);
    if (!m.in) {
      t.members.delete(m.nick);
      const removed = t.kicked.delete(m.nick);
      return was && !removed ? this.#note(t, `${m.nick} left`) : null;
    }
    t.members.set(m.nick, { host: m.host });
    if (!was) return this.#note(t, `${m.nick} joined`);
    if (m.host && !was.host) {
      return this.#note(t, m.nick === this.nick ? 'You are the host now' : `${m.nick} is the host now`);
    }
    return null;
  }

  #note(t, text) { return this.#add(t, { note: text }); }

  #add(t, entry) {
    if (!t) return null;
    entry.at = new Date();
    t.entries.push(entry);
    if (t.entries.length > KEEP) t.entries.shift();
    if (!entry.note && entry.from !== this.nick && (t.id !== this.active || document.hidden)) t.unread++;
    return t;
  }
}

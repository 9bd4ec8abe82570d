// Ties the connection, the model and the view together.

import { Link } from './link.js';
import { Model } from './model.js';
import { View } from './view.js';

// What a reload must not lose. It belongs to this tab alone: another tab is
// another person.
const store = {
  load() {
    try {
      return JSON.parse(sessionStorage.getItem('chat')) ?? {};
    } catch {
      return {};
    }
  },
  save(state) { sessionStorage.setItem('chat', JSON.stringify(state)); },
  clear() { sessionStorage.removeItem('chat'); },
};

// The key takes our nickname back after a lost connection, so nobody may guess
// it. (crypto.randomUUID exists on secure origins only, not on a LAN address.)
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

async function gatewayURL() {
  const g = await (await fetch('config.json')).json();
  const host = g.host || location.hostname;
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  return `${scheme}://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${g.port}${g.path}`;
}

class Chat {
  #model = new Model();
  #link; #view;
  #wish = null;   // {nick, key}: who we want to be, from the form on
  #inside = false; // the chat is on the screen, not the form
  #first = '';     // the room of the form, until we are in one

  constructor(url) {
    this.#link = new Link(url, {
      open: () => this.#link.send({ type: 'nick', ...this.#wish }),
      message: (m) => this.#message(m),
      state: (s) => this.#state(s),
    });
    this.#view = new View({
      enter: (nick, room) => this.#enter(nick, room),
      say: (text) => this.#say(text),
      join: (room) => this.#request({ type: 'join', room }),
      open: (id) => this.#open(id),
      close: () => this.#close(),
      whisper: (nick) => this.#open(this.#model.whisperTo(nick).id),
      kick: (nick) => this.#request({ type: 'kick', room: this.#model.current.name, nick }),
      retry: () => this.#link.connect(),
      signOut: () => this.#signOut(),
      seen: () => {
        this.#model.seen(this.#model.active);
        this.#render(null);
      },
    });
    this.#resume();
  }

  #resume() {
    const { nick, key, rooms = [], active } = store.load();
    if (!nick || !key) {
      this.#view.gate('', decodeURIComponent(location.hash.slice(1)) || 'lounge');
      return;
    }
    this.#wish = { nick, key };
    this.#model.nick = nick;
    for (const r of rooms) this.#model.want(r);
    this.#model.active = this.#model.talks.has(active) ? active : (this.#model.rooms[0]?.id ?? '');
    this.#show();
    this.#link.connect();
  }

  #enter(nick, room) {
    this.#wish = { nick, key: newKey() };
    this.#first = room;
    this.#view.entering(true);
    if (!this.#link.send({ type: 'nick', ...this.#wish })) this.#link.connect();
  }

  #signOut() {
    const { nick } = this.#model;
    this.#link.close();
    store.clear();
    this.#model = new Model();
    this.#inside = false;
    this.#view.gate(nick, 'lounge');
  }

  #message(m) {
    if (m.type === 'error') {
      this.#refused(m);
      return;
    }
    // A room that we were not in before is one that was asked for just now.
    const turn = m.type === 'members' && !(this.#model.current && this.#model.talks.has('#' + m.room));
    const changed = this.#model.apply(m);
    switch (m.type) {
      case 'welcome':
        this.#wish.nick = m.nick;
        this.#link.settled();
        this.#show();
        for (const t of this.#model.rooms) this.#link.send({ type: 'join', room: t.name });
        if (this.#first) this.#link.send({ type: 'join', room: this.#first });
        break;
      case 'members':
        this.#first = '';
        if (turn) {
          this.#model.seen('#' + m.room);
          this.#view.turned();
        }
        break;
    }
    this.#render(changed);
  }

  #refused(m) {
    if (m.re === 'nick') {
      // On a reconnect, somebody took the name meanwhile.
      this.#inside = false;
      store.clear();
      const room = this.#first || this.#model.rooms[0]?.name || 'lounge';
      this.#view.gate(this.#wish.nick, room, m.text);
      return;
    }
    if (m.re === 'join') this.#first = '';
    this.#view.toast(m.text);
  }

  #state(s) {
    if (s === 'connecting') this.#model.offline = null;
    if (s !== 'open') this.#model.disconnected();
    this.#view.link(s, this.#link.retryAt, this.#model.offline);
    if (this.#inside) this.#render(null);
    else if (s === 'stopped') this.#view.entering(false);
  }

  #show() {
    this.#inside = true;
    this.#view.chat();
    this.#render(null);
  }

  #render(changed) {
    if (!this.#inside) return;
    const { nick, active, rooms } = this.#model;
    store.save({ ...this.#wish, nick, active, rooms: rooms.map((t) => t.name) });
    this.#view.render(this.#model, changed);
  }

  // request sends, or says why it cannot.
  #request(r) {
    if (this.#link.send(r)) return true;
    this.#view.toast('You are offline. Try again when the connection is back.');
    return false;
  }

  #open(id) {
    this.#model.seen(id);
    this.#view.turned();
    this.#render(null);
  }

  // close leaves the room, or puts the whisper away.
  #close() {
    const t = this.#model.current;
    if (t.kind === 'room' && t.joined) {
      this.#request({ type: 'leave', room: t.name });
      return;
    }
    this.#model.drop(t.id);
    this.#render(null);
  }

  #say(text) {
    const t = this.#model.current;
    if (!t) return false;
    return this.#request(t.kind === 'room'
      ? { type: 'say', room: t.name, text }
      : { type: 'whisper', nick: t.name, text });
  }
}

new Chat(await gatewayURL());

// The connection: opens it, keeps it alive, and opens it again with growing
// pauses when it is lost.

const HEARTBEAT = '~6YOt5rW35piO~';
const HEARTBEAT_EVERY = 45_000; // the gateway closes who is silent for 120 s
const OPEN_WITHIN = 10_000;
const ANSWER_WITHIN = 5_000;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;
// Codes after which coming back would end in the same way: docs/clients.md.
const FOR_GOOD = [1002, 1003, 1007, 1008, 1009, 1010];

export class Link {
  // state: idle, connecting, open, waiting (for the next attempt), stopped (put
  // offline by the chat; only a person may connect again).
  state = 'idle';
  retryAt = 0;
  #url; #on; #ws = null; #attempt = 0; #timer = 0; #beat = 0; #probe = 0;

  // on: {open(), message(object), state(state)}
  constructor(url, on) {
    this.#url = url;
    this.#on = on;
    addEventListener('online', () => this.#hurry());
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState !== 'visible') return;
      this.#hurry();
      this.#check();
    });
  }

  connect() {
    this.#drop();
    this.#set('connecting');
    const ws = new WebSocket(this.#url);
    this.#ws = ws;
    this.#timer = setTimeout(() => this.#lost(ws), OPEN_WITHIN);
    ws.onopen = () => {
      if (ws !== this.#ws) return;
      clearTimeout(this.#timer);
      this.#beat = setInterval(() => ws.send(HEARTBEAT), HEARTBEAT_EVERY);
      this.#set('open');
      this.#on.open();
    };
    ws.onmessage = (ev) => {
      if (ws !== this.#ws) return;
      clearTimeout(this.#probe);
      this.#on.message(JSON.parse(ev.data));
    };
    ws.onclose = (ev) => this.#lost(ws, ev);
  }

  // settled says that the connection is good for something. Only then do the
  // pauses start small again: a server that takes connections and drops them
  // must not be asked twice a second.
  settled() { this.#attempt = 0; }

  send(request) {
    if (this.state !== 'open') return false;
    this.#ws.send(JSON.stringify(request));
    return true;
  }

  close() {
    this.#drop();
    this.#set('idle');
  }

  #set(state) {
    this.state = state;
    this.#on.state(state);
  }

  #drop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#probe);
    clearInterval(this.#beat);
    const ws = this.#ws;
    this.#ws = null;
    if (ws) ws.close();
  }

  #lost(ws, ev) {
    if (ws !== this.#ws) return;
    this.#drop();
    if (ev && FOR_GOOD.includes(ev.code)) {
      this.#set('stopped');
      return;
    }
    // Half of the pause is chance, lest all the clients of a gateway that went
    // down come back in the same moment.
    const told = /retry-after=(\d+)/.exec(ev?.reason ?? '');
    const least = told ? told[1] * 1000 : Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.#attempt++) / 2;
    const pause = least * (1 + Math.random());
    this.retryAt = Date.now() + pause;
    this.#timer = setTimeout(() => this.connect(), pause);
    this.#set('waiting');
  }

  // A network that is back, or a person looking, is worth an attempt now.
  #hurry() {
    if (this.state === 'waiting') this.connect();
  }

  // A phone that slept may hold a connection that died meanwhile without a
  // word. Any answer will do.
  #check() {
    if (!this.send({ type: 'rooms' })) return;
    const ws = this.#ws;
    clearTimeout(this.#probe);
    this.#probe = setTimeout(() => this.#lost(ws), ANSWER_WITHIN);
  }
}

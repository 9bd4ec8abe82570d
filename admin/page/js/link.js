// The connection to the gateway: asks whether it is let in, opens the WebSocket, keeps
// it alive, and opens it again with growing pauses when it is lost.

const HEARTBEAT = '~6YOt5rW35piO~';
const HEARTBEAT_EVERY = 45_000; // the gateway closes who is silent for 120 s
const SILENCE = 8_000; // a sample comes each second
const ANSWER_WITHIN = 10_000;
const PAUSES = [500, 1000, 2000, 4000, 8000, 15_000];

export class Link {
  // state: connecting, live, waiting (until retryAt), signed-out
  state = 'connecting';
  retryAt = 0;
  #ws = null;
  #attempt = 0;
  #timer = 0; // of the next attempt, or the end of this one
  #silence = 0;
  #beat = 0;
  #id = 0;
  #asked = new Map(); // by id

  // on: {state(), message(object)}
  constructor(on) {
    this.on = on;
    addEventListener('online', () => this.#hurry());
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && this.#hurry());
  }

  async connect() {
    this.#drop();
    this.#set('connecting');
    const attempt = ++this.#attempt;
    const { signedIn } = await this.#access();
    if (attempt !== this.#attempt || this.state !== 'connecting') return; // another one has begun
    if (signedIn === undefined) return this.#lost();
    if (!signedIn) return this.#set('signed-out');
    const ws = new WebSocket(new URL('live', location.href.replace(/^http/, 'ws')));
    this.#ws = ws;
    this.#timer = setTimeout(() => this.#lost(), ANSWER_WITHIN);
    ws.onmessage = (ev) => ws === this.#ws && this.#message(JSON.parse(ev.data));
    ws.onclose = (ev) => ws === this.#ws && this.#lost(ev);
  }

  // ask sends a request and returns the reply, or an object with an error.
  ask(request) {
    if (this.state !== 'live') return Promise.resolve({ error: 'not connected' });
    const id = ++this.#id;
    return new Promise((done) => {
      const late = setTimeout(() => this.#settle(id, { error: 'no answer came' }), ANSWER_WITHIN);
      this.#asked.set(id, (reply) => {
        clearTimeout(late);
        done(reply);
      });
      this.#ws.send(JSON.stringify({ ...request, id }));
    });
  }

  // leave ends it for good, or until connect.
  leave() {
    this.#attempt++;
    this.#drop();
    this.#set('signed-out');
  }

  #message(m) {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#lost(), SILENCE);
    if (m.type === 'hello') {
      clearTimeout(this.#timer);
      this.pauses = 0;
      clearInterval(this.#beat);
      this.#beat = setInterval(() => this.#ws?.send(HEARTBEAT), HEARTBEAT_EVERY);
      this.on.message(m);
      this.#set('live');
    } else if (m.type === 'reply') this.#settle(m.id, m);
    else this.on.message(m);
  }

  #settle(id, reply) {
    this.#asked.get(id)?.(reply);
    this.#asked.delete(id);
  }

  // access asks whether the token is wanted; {} if there is no answer.
  async #access() {
    try {
      const r = await fetch('login', { cache: 'no-store', signal: AbortSignal.timeout(ANSWER_WITHIN) });
      return r.ok ? await r.json() : {};
    } catch {
      return {};
    }
  }

  #set(state) {
    this.state = state;
    this.on.state();
  }

  #drop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    clearInterval(this.#beat);
    const ws = this.#ws;
    this.#ws = null;
    ws?.close();
    for (const id of [...this.#asked.keys()]) this.#settle(id, { error: 'the connection was lost' });
  }

  // Half of a pause is chance, lest all pages come back in the same moment.
  #lost(ev) {
    this.#drop();
    const told = /retry-after=(\d+)/.exec(ev?.reason ?? '');
    this.pauses = Math.min((this.pauses ?? 0) + 1, PAUSES.length);
    const pause = (told ? told[1] * 1000 : PAUSES[this.pauses - 1] / 2) * (1 + Math.random());
    this.retryAt = Date.now() + pause;
    this.#timer = setTimeout(() => this.connect(), pause);
    this.#set('waiting');
  }

  // A network that is back, or a person looking, is worth an attempt now.
  #hurry() {
    if (this.state === 'waiting') this.connect();
  }
}

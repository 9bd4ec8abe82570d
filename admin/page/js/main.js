// The page of a gateway's operator.

import { $, text } from './dom.js';
import { Clients } from './clients.js';
import { Link } from './link.js';
import { Panels } from './panels.js';
import { Tables } from './tables.js';
import { plural } from './format.js';

const VERSION = 1; // of the protocol: admin/protocol.go
const LATE = 3; // seconds; each loop is asked once a second

let tables = null;
let sample = null;
let outdated = false;

const link = new Link({ state: show, message });
const panels = new Panels();
const clients = new Clients(link);

function message(m) {
  if (m.type === 'hello') begin(m);
  else if (m.type === 'sample') {
    sample = m;
    panels.add(m);
    title(m);
    notice();
  } else if (m.type === 'tables') tables?.show(m, sample);
}

function begin(hello) {
  outdated = hello.version !== VERSION;
  text($('name'), hello.name);
  $('sign-out').hidden = !hello.token;
  sample = hello.history?.at(-1) ?? null;
  panels.begin(hello);
  clients.begin(hello);
  tables = new Tables(hello, { topic: hello.actions ? (name) => clients.topic(name) : null, client: (id) => clients.look(id) });
  tables.show(hello.tables ?? { t: Date.now(), totals: { opened: 0, closed: 0, in: 0, out: 0, bytesIn: 0, bytesOut: 0, heartbeats: 0 } }, sample);
  $('main').hidden = false;
  notice();
}

function title(m) {
  const name = $('name').textContent;
  document.title = `${plural(m.clients, 'client')} · ${name || 'Sluice'}`;
}

// show shows where the connection is.
function show() {
  const { state } = link;
  document.body.dataset.link = state;
  const out = state === 'signed-out';
  if (out) {
    $('main').hidden = true;
    clients.clear();
    document.title = 'Sluice';
    text($('name'), '');
    $('sign-out').hidden = true;
    if ($('gate').hidden) {
      $('gate').hidden = false;
      $('token').focus();
    }
  } else if (state === 'live') $('gate').hidden = true;
  text($('link-text'), { connecting: 'Connecting', live: 'Live', waiting: 'Reconnecting', 'signed-out': 'Signed out' }[state]);
  notice();
}

// notice says what an operator must know before looking at any number.
function notice() {
  const { state } = link;
  let say = '';
  if (state === 'waiting') say = 'The connection is lost. What is shown is from before; the page tries again by itself.';
  else if (state === 'live' && outdated) say = 'The gateway is of another release than this page. Reload it.';
  else if (state === 'live' && sample?.status === 'draining') say = `The gateway is draining: it sends its clients away and takes no others. ${plural(sample.clients, 'client')} left.`;
  else if (state === 'live' && sample?.status !== undefined && sample.status !== 'serving') say = `The gateway does not serve: it is ${sample.status}.`;
  else if (state === 'live' && sample?.late > LATE) say = 'An event loop does not answer: what it has clients for waits. The log says what holds it up.';
  else if (state === 'live' && sample?.stuck) say = `${plural(sample.stuck, 'call')} of handlers, or event loops, have been held up for long. The log has their stacks.`;
  text($('notice'), say);
  $('notice').hidden = !say;
}

$('sign-in').addEventListener('submit', async (ev) => {
  ev.preventDefault();
  const [field, button] = [$('token'), ev.target.querySelector('button')];
  button.disabled = true;
  let why = '';
  try {
    const r = await fetch('login', { method: 'POST', body: new URLSearchParams({ token: field.value }) });
    if (!r.ok) why = (await r.text()).trim();
  } catch {
    why = 'the gateway does not answer';
  }
  button.disabled = false;
  text($('sign-in-error'), why && `${why[0].toUpperCase()}${why.slice(1)}.`);
  if (why) return field.select();
  field.value = '';
  link.connect();
});

$('sign-out').addEventListener('click', async () => {
  try {
    await fetch('logout', { method: 'POST' });
  } finally {
    link.leave();
  }
});

link.connect();

// The tables: topics, slow clients, business processes, event loops.

import { $, follow, make, text } from './dom.js';
import { ago, number, plural, short } from './format.js';

// A Table has columns [{name, cell(row), tag(row)}]. The first one is a button if a row can
// be chosen, and words or an id.
class Table {
  constructor({ title, columns, key, none, choose, fill, words }) {
    Object.assign(this, { columns, key, choose, fill, words });
    this.note = make('span', { class: 'quiet' });
    this.body = make('tbody');
    this.table = make('table', {},
      make('thead', {}, make('tr', {}, ...columns.map((c) => make('th', { scope: 'col' }, c.name)))), this.body);
    this.empty = make('p', { class: 'empty' }, none);
    this.element = make('section', { class: words ? 'card words' : 'card', 'aria-label': title },
      make('h2', {}, title, this.note), make('div', { class: 'wide' }, this.table), this.empty);
  }

  show(rows, note = '', none = '') {
    text(this.note, note);
    this.table.hidden = rows.length === 0;
    this.empty.hidden = rows.length > 0;
    if (none) text(this.empty, none);
    follow(this.body, rows, this.key, (row) => this.#row(row), (tr, row) => this.columns.forEach((c, i) => this.#cell(tr.children[i], c, row)));
  }

  #row(row) {
    const cells = this.columns.map((c, i) => make(i ? 'td' : 'th', i ? {} : { scope: 'row' }));
    const first = this.choose ? make('button', { type: 'button', class: 'go id', onclick: () => this.choose(row) }) : make('bdi', { class: this.words ? '' : 'id' });
    cells[0].append(first, make('span', { class: 'tag', hidden: true }));
    if (this.fill) cells[0].append(make('span', { class: 'meter' }));
    return make('tr', {}, ...cells);
  }

  #cell(e, column, row) {
    if (e.localName === 'td') return text(e, column.cell(row));
    text(e.firstChild, column.cell(row));
    const tag = column.tag?.(row) ?? '';
    e.children[1].hidden = !tag;
    text(e.children[1], tag);
    if (this.fill) e.lastChild.style.setProperty('--part', this.fill(row));
  }
}

export class Tables {
  // on: {topic(name), client(uniqId)}, what choosing one does; topic may be null.
  constructor(hello, on) {
    this.topics = new Table({
      title: 'Topics by size', key: (r) => r.name, choose: on.topic && ((r) => on.topic(r.name)), none: 'No client has subscribed to a topic.',
      fill: (r) => r.clients / Math.max(1, this.largest),
      columns: [{ name: 'topic', cell: (r) => r.name }, { name: 'clients', cell: (r) => number(r.clients) }],
    });
    this.slow = new Table({
      title: 'Slow clients', key: (r) => r.uniqId, choose: (r) => on.client(r.uniqId), none: 'Nothing waits for any client.',
      columns: [
        { name: 'uniqId', cell: (r) => r.uniqId }, { name: 'customerId', cell: (r) => r.customerId || '–' },
        { name: 'waiting', cell: (r) => short(r.waiting, 'bytes') }],
    });
    this.processes = new Table({
      title: 'Business processes', key: (r) => r.id,
      none: hello.processes ? 'No business process is registered.' : 'Business code is linked into the gateway: there are no processes.',
      columns: [
        { name: 'process', cell: (r) => r.remoteAddr || r.id, tag: (r) => (r.leaving ? 'leaving' : '') },
        { name: 'events', cell: (r) => (r.events ?? []).join(', ') }, { name: 'clients', cell: (r) => number(r.clients) },
        { name: 'queued', cell: (r) => (r.queuedEvents ? `${number(r.queuedEvents)}, ${short(r.queuedBytes, 'bytes')}` : '0') },
        { name: 'sent', cell: (r) => short(r.sent, 'count') }, { name: 'since', cell: (r) => ago(r.since, this.now) }],
    });
    this.loops = new Table({
      title: 'Event loops', words: true, key: (r) => `${r.transport}.${r.index}`, none: 'No event loop runs.',
      columns: [
        { name: 'loop', cell: (r) => `${r.transport}.${r.index}` }, { name: 'clients', cell: (r) => number(r.connections) },
        { name: 'tasks', cell: (r) => number(r.tasks) }, { name: 'mailbox', cell: (r) => short(r.mailboxBytes, 'bytes') },
        { name: 'writes/s', cell: (r) => short(r.writes, 'count') }, { name: 'a write', cell: (r) => (r.writes ? short(r.written, 'bytes') : '–') }],
    });
    this.totals = new Table({
      title: 'Since it started', words: true, key: (r) => r.name, none: '',
      columns: [{ name: 'counted', cell: (r) => r.name }, { name: 'total', cell: (r) => r.value }],
    });
    $('left-tables').replaceChildren(this.topics.element, this.slow.element);
    $('right-tables').replaceChildren(this.processes.element, this.loops.element, this.totals.element);
  }

  show(t, sample) {
    this.now = t.t;
    const topics = t.topics ?? [];
    this.largest = topics[0]?.clients ?? 0;
    this.topics.show(topics, sample ? `${topics.length < sample.topics ? `${topics.length} of ` : ''}${number(sample.topics)}` : '',
      t.topicsCut ? 'There are too many topics to look through all of them.' : 'No client has subscribed to a topic.');
    this.slow.show(t.slow ?? [], '', t.slowCut ? 'An event loop is too busy to say.' : 'Nothing waits for any client.');
    const processes = t.processes ?? [];
    this.processes.show(processes, processes.length > 1 ? plural(processes.reduce((n, p) => n + p.clients, 0), 'client') : '');
    this.loops.show(t.loops ?? []);
    const n = t.totals;
    const by = (what, o) => Object.entries(o ?? {}).sort((a, b) => b[1] - a[1]).map(([k, v]) => ({ name: `${what}: ${k}`, value: number(v) }));
    this.totals.show([
      { name: 'clients that came', value: number(n.opened) }, { name: 'clients that left', value: number(n.closed) },
      { name: 'messages in', value: `${number(n.in)}, ${short(n.bytesIn, 'bytes')}` },
      { name: 'messages out', value: `${number(n.out)}, ${short(n.bytesOut, 'bytes')}` },
      { name: 'heartbeats', value: number(n.heartbeats) }, ...by('left', n.closes), ...by('dropped', n.drops),
    ]);
  }
}

// What the tiles and the plots show.

import { $, make, text } from './dom.js';
import { Cursor, Plot, Spark } from './plot.js';
import { plural, short, units } from './format.js';

const sum = (o) => Object.values(o ?? {}).reduce((a, b) => a + b, 0);
const OTHERS = 5; // the colour of what has none of its own

// reasons returns lines for the values of field, one for each key that was there in
// the last minutes: the five largest, and the others together. A reason keeps its
// colour as long as it is there.
function reasons(field) {
  const colours = new Map();
  return (samples) => {
    const size = new Map();
    for (const s of samples) for (const [k, v] of Object.entries(s[field] ?? {})) size.set(k, (size.get(k) ?? 0) + v);
    const all = [...size].sort((a, b) => b[1] - a[1]).map(([k]) => k);
    const [own, rest] = [all.slice(0, OTHERS), all.slice(OTHERS)];
    for (const k of [...colours.keys()]) if (!own.includes(k)) colours.delete(k);
    for (const k of own) {
      if (!colours.has(k)) colours.set(k, [0, 1, 2, 3, 4].find((i) => ![...colours.values()].includes(i)));
    }
    const lines = own.sort().map((k) => ({ name: k, colour: colours.get(k), value: (s) => s[field]?.[k] ?? 0 }));
    if (rest.length) lines.push({ name: 'others', colour: OTHERS, value: (s) => rest.reduce((n, k) => n + (s[field]?.[k] ?? 0), 0) });
    return lines;
  };
}

const fixed = (...lines) => () => lines;

function plots(hello) {
  return [
    { title: 'Clients', unit: 'count', lines: fixed(
      { name: 'connected', colour: 0, filled: true, value: (s) => s.clients }) },
    { title: 'Messages', per: 'per second', unit: 'count', lines: fixed(
      { name: 'in', colour: 0, value: (s) => s.in },
      { name: 'out', colour: 1, value: (s) => s.out }) },
    { title: 'Traffic', per: 'bytes per second', unit: 'bytes', lines: fixed(
      { name: 'in', colour: 0, value: (s) => s.bytesIn },
      { name: 'out', colour: 1, value: (s) => s.bytesOut }) },
    { title: 'Handler time', unit: 'time',
      none: hello.handlers ? 'No handler was called in the last five minutes' : 'Needs hooks/metrics among the gateway’s hooks',
      lines: fixed(
        { name: 'p50', colour: 2, value: (s) => s.handler?.p50 },
        { name: 'p99', colour: 3, value: (s) => s.handler?.p99 }) },
    { title: 'Event loop lag', unit: 'time', none: 'No lag was measured', lines: fixed(
      { name: 'p50', colour: 2, value: (s) => s.lag?.p50 },
      { name: 'p99', colour: 3, value: (s) => s.lag?.p99 }) },
    { title: 'Workers', unit: 'count', lines: fixed(
      { name: 'busy', colour: 0, filled: true, value: (s) => s.workers.busy },
      { name: 'clients waiting', colour: 1, value: (s) => s.workers.waiting }) },
    { title: 'Dropped messages', per: 'per second, by reason', unit: 'count', none: 'Nothing was dropped in the last five minutes', lines: reasons('drops') },
    { title: 'Closed clients', per: 'per second, by code', unit: 'count', none: 'Nobody left in the last five minutes', lines: reasons('closes') },
    { title: 'Refused handshakes', per: 'per second, by reason', unit: 'count', none: 'Nobody was refused in the last five minutes', lines: reasons('refused') },
  ];
}

const tiles = [
  { name: 'Clients', unit: 'count', colour: 0, value: (s) => s.clients,
    sub: (s) => `+${short(s.opened, 'count')} −${short(s.closed, 'count')} per second` },
  { name: 'Messages in', per: '/s', unit: 'count', colour: 0, value: (s) => s.in, sub: (s) => `${short(s.bytesIn, 'bytes')}/s` },
  { name: 'Messages out', per: '/s', unit: 'count', colour: 1, value: (s) => s.out, sub: (s) => `${short(s.bytesOut, 'bytes')}/s` },
  { name: 'Handler time, p99', unit: 'time', colour: 3, value: (s) => s.handler?.p99,
    sub: (s) => (s.handler ? `p50 ${short(s.handler.p50, 'time')}` : 'no calls') },
  { name: 'Dropped', per: '/s', unit: 'count', colour: 1, value: (s) => sum(s.drops),
    sub: (s) => Object.entries(s.drops ?? {}).sort((a, b) => b[1] - a[1]).map(([k]) => k).join(', ') || 'nothing',
    alarm: (s) => sum(s.drops) > 0 },
  { name: 'Held for clients', unit: 'memory', colour: 2, value: (s) => s.held,
    sub: (s) => (s.stuck ? `${plural(s.stuck, 'call')} held up` : s.heldLimit ? `of ${short(s.heldLimit, 'memory')}` : ''),
    alarm: (s) => s.stuck > 0 || (s.heldLimit > 0 && s.held > 0.9 * s.heldLimit) },
];

export class Panels {
  #samples = [];
  #drawn = 0;

  constructor() {
    this.cursor = new Cursor(() => this.draw());
    this.tiles = tiles.map((t) => {
      const tile = { ...t, spark: new Spark(t.value, t.colour), number: make('span'), unitOf: make('small'), below: make('dd', { class: 'sub' }) };
      tile.element = make('div', { class: 'tile' },
        make('dl', {}, make('dt', {}, t.name), make('dd', { class: 'big' }, tile.number, tile.unitOf), tile.below), tile.spark.canvas);
      return tile;
    });
    $('tiles').append(...this.tiles.map((t) => t.element));
    new ResizeObserver(() => this.draw()).observe($('plots'));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
    document.addEventListener('visibilitychange', () => this.draw());
  }

  // begin starts over with what the gateway remembers.
  begin(hello) {
    this.span = hello.window * hello.interval;
    this.#samples = hello.history ?? [];
    this.plots = plots(hello).map((p) => new Plot(p, this.cursor));
    $('plots').replaceChildren(...this.plots.map((p) => p.element));
    this.draw();
  }

  add(sample) {
    const first = sample.t - this.span;
    this.#samples = [...this.#samples.filter((s) => s.t >= first && s.t < sample.t), sample];
    this.draw();
  }

  // draw draws once before the next frame, if anybody looks.
  draw() {
    if (this.#drawn || document.hidden || !this.plots) return;
    this.#drawn = requestAnimationFrame(() => {
      this.#drawn = 0;
      const samples = this.#samples;
      const to = samples.at(-1)?.t ?? Date.now();
      this.cursor.follow(samples);
      const now = samples.at(-1);
      for (const t of this.tiles) {
        const v = now && t.value(now);
        const [n, unit] = v === undefined || v === null ? ['–', ''] : units[t.unit](v);
        text(t.number, n);
        text(t.unitOf, v === undefined || v === null ? '' : `${unit}${t.per ?? ''}`);
        text(t.below, now ? t.sub(now) : '');
        t.element.classList.toggle('alarm', Boolean(now && t.alarm?.(now)));
        t.spark.draw(samples, to - this.span, to);
      }
      for (const p of this.plots) p.draw(samples, to - this.span, to);
    });
  }
}

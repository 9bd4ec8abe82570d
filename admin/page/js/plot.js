// Moving plots, drawn by hand on a canvas: lines over the last minutes, axes that can
// be read, and a cursor that all plots share.

import { make, text, follow } from './dom.js';
import { clock, short, tick } from './format.js';

const MINUTE = 60_000;
const GAP = 3_500; // ms between samples beyond which a line is broken
const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

// Colours are those of the style sheet, read again when the scheme changes.
let colours = null;
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { colours = null; });
function palette() {
  if (!colours) {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(name).trim();
    colours = { grid: of('--grid'), quiet: of('--quiet'), ink: of('--ink'), paper: of('--paper'), line: [0, 1, 2, 3, 4, 5].map((i) => of(`--s${i}`)) };
  }
  return colours;
}

// fit makes the canvas as sharp as the screen, and returns its context in CSS pixels.
function fit(canvas) {
  const { clientWidth: w, clientHeight: h } = canvas;
  const dense = devicePixelRatio || 1;
  const [pw, ph] = [Math.round(w * dense), Math.round(h * dense)];
  if (canvas.width !== pw || canvas.height !== ph) [canvas.width, canvas.height] = [pw, ph];
  const c = canvas.getContext('2d');
  c.setTransform(dense, 0, 0, dense, 0, 0);
  c.clearRect(0, 0, w, h);
  return { c, w, h };
}

// steps returns what an axis is marked with: a few round numbers that reach above max.
export function steps(max, whole) {
  if (!(max > 0)) max = whole ? 4 : 1e-3;
  const raw = max / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  let step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  if (whole) step = Math.max(1, Math.ceil(step));
  const all = [];
  for (let i = 0; i * step < max + step * 0.999 && all.length < 6; i++) all.push(Number((i * step).toPrecision(6)));
  return all;
}

// trace draws a line through points that have a value, broken where none has for a while.
function trace(c, points, x, y, floor) {
  let run = [];
  const flush = () => {
    if (run.length && floor !== undefined) {
      c.beginPath();
      c.moveTo(run[0][0], floor);
      for (const p of run) c.lineTo(...p);
      c.lineTo(run.at(-1)[0], floor);
      c.fill();
    }
    if (run.length === 1) {
      c.beginPath();
      c.arc(...run[0], 1, 0, 7);
      c.stroke();
    } else if (run.length) {
      c.beginPath();
      run.forEach((p, i) => (i ? c.lineTo(...p) : c.moveTo(...p)));
      c.stroke();
    }
    run = [];
  };
  let last = 0;
  for (const [t, v] of points) {
    if (v === undefined || v === null) continue; // not every second has one
    if (t - last > GAP) flush();
    run.push([x(t), y(v)]);
    last = t;
  }
  flush();
}

// A Spark is a line without axes.
export class Spark {
  constructor(value, colour = 0) {
    this.value = value;
    this.colour = colour;
    this.canvas = make('canvas', { 'aria-hidden': 'true' });
  }

  draw(samples, from, to) {
    const { c, w, h } = fit(this.canvas);
    if (!w) return;
    const p = palette();
    const points = samples.map((s) => [s.t, this.value(s)]);
    const max = Math.max(1e-9, ...points.map(([, v]) => v ?? 0)) * 1.08;
    const x = (t) => ((t - from) / (to - from)) * (w - 2) + 1;
    const y = (v) => h - 1.5 - (v / max) * (h - 3);
    c.lineWidth = 1.5;
    c.lineJoin = 'round';
    c.strokeStyle = c.fillStyle = p.line[this.colour];
    c.globalAlpha = 0.12;
    c.save();
    c.strokeStyle = 'transparent';
    trace(c, points, x, y, h);
    c.restore();
    c.globalAlpha = 1;
    trace(c, points, x, y);
  }
}

// A Plot is a figure. what: {title, unit, per, none, lines(samples)}, where lines
// returns [{name, value(sample), colour, dashed, filled}].
export class Plot {
  #height = 0;
  #area = null;

  constructor(what, cursor) {
    this.what = what;
    this.cursor = cursor;
    this.canvas = make('canvas', { 'aria-hidden': 'true' });
    this.none = make('span', { class: 'none', hidden: true });
    this.time = make('time');
    this.key = make('ul', { class: 'key', 'aria-hidden': 'true' });
    this.hit = make('div', { class: 'canvas', tabindex: '0', role: 'slider', 'aria-label': `${what.title}, time`, 'aria-valuemin': '-300', 'aria-valuemax': '0', 'aria-valuenow': '0' }, this.canvas, this.none);
    this.element = make('figure', { class: 'plot' },
      make('figcaption', {}, make('h3', {}, what.title, make('small', {}, what.per ?? '')), this.time), this.key, this.hit);
    this.hit.addEventListener('pointermove', (ev) => this.#point(ev));
    this.hit.addEventListener('pointerdown', (ev) => this.#point(ev));
    this.hit.addEventListener('pointerleave', (ev) => ev.pointerType === 'mouse' && cursor.set(null));
    this.hit.addEventListener('keydown', (ev) => this.#press(ev));
    this.hit.addEventListener('focus', () => this.#say());
    this.hit.addEventListener('blur', () => cursor.set(null));
  }

  #point(ev) {
    if (!this.#area) return;
    const { left, width, from, to } = this.#area;
    const x = ev.clientX - this.canvas.getBoundingClientRect().left;
    this.cursor.set(from + ((x - left) / width) * (to - from));
  }

  #press(ev) {
    const move = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -30, PageUp: 30, Home: -Infinity, End: Infinity }[ev.key];
    if (move !== undefined && !ev.altKey && !ev.ctrlKey && !ev.metaKey) {
      this.cursor.move(move);
      this.#say();
      ev.preventDefault();
    } else if (ev.key === 'Escape') this.cursor.set(null);
  }

  // read returns a line's value at the cursor, or the last one that there was.
  #read(line) {
    if (this.cursor.sample) return line.value(this.cursor.sample);
    const end = this.samples.at(-1)?.t;
    for (let i = this.samples.length - 1; i >= 0 && end - this.samples[i].t < GAP; i--) {
      const v = line.value(this.samples[i]);
      if (v !== undefined && v !== null) return v;
    }
    return null;
  }

  // say tells those who cannot see the plot what it shows at the cursor.
  #say() {
    const s = this.cursor.sample ?? this.samples?.at(-1);
    if (!s) return;
    const values = this.lines.map((l) => `${l.name} ${short(this.#read(l), this.what.unit)}`).join(', ');
    this.hit.setAttribute('aria-valuenow', String(Math.round((s.t - this.samples.at(-1).t) / 1000)));
    this.hit.setAttribute('aria-valuetext', `${clock(s.t)}: ${values || this.none.textContent}`);
  }

  draw(samples, from, to) {
    const { what } = this;
    this.samples = samples;
    const lines = (this.lines = what.lines(samples));
    const p = palette();
    const at = this.cursor.sample;
    text(this.time, at ? clock(at.t) : '');
    follow(this.key, lines, (l) => l.name,
      (l) => make('li', {}, make('bdi', {}, l.name), make('b')),
      (li, l) => {
        li.style.setProperty('--c', p.line[l.colour]);
        text(li.lastChild, short(this.#read(l), what.unit));
      });
    const empty = !lines.some((l) => samples.some((s) => l.value(s) !== undefined && l.value(s) !== null));
    this.none.hidden = !empty;
    text(this.none, empty ? what.none ?? 'Nothing yet' : '');

    const { c, w, h } = fit(this.canvas);
    if (!w) return;
    let max = 0;
    for (const l of lines) if (!l.beside) for (const s of samples) max = Math.max(max, l.value(s) ?? 0);
    // An axis that shrinks at once would hide that something was there a moment ago.
    const ticks = empty ? [0] : steps(max, what.unit !== 'time');
    this.#height = ticks.at(-1) || 1;
    c.font = FONT;
    const labels = ticks.map((v) => tick(v, what.unit));
    const left = Math.max(26, ...labels.map((s) => c.measureText(s).width)) + 8;
    const [top, bottom, right] = [7, h - 20, w - 3];
    this.#area = { left, width: right - left, from, to };
    const x = (t) => left + ((t - from) / (to - from)) * (right - left);
    const y = (v) => bottom - (v / this.#height) * (bottom - top);

    c.lineWidth = 1;
    c.fillStyle = p.quiet;
    c.strokeStyle = p.grid;
    c.textAlign = 'right';
    c.textBaseline = 'middle';
    ticks.forEach((v, i) => {
      const line = Math.round(y(v)) + 0.5;
      c.beginPath();
      c.moveTo(left, line);
      c.lineTo(right, line);
      c.stroke();
      if (!empty) c.fillText(labels[i], left - 8, line);
    });
    c.textBaseline = 'top';
    const span = Math.round((to - from) / MINUTE);
    for (let m = span; m >= 0; m--) {
      c.textAlign = m === 0 ? 'right' : 'center';
      c.fillText(m === 0 ? 'now' : `−${m}${right - left > 330 || m === span ? ' min' : ''}`, x(to - m * MINUTE), bottom + 7);
    }

    c.save();
    c.beginPath();
    c.rect(left, 0, right - left + 3, bottom + 1);
    c.clip();
    c.lineJoin = 'round';
    for (const l of [...lines].reverse()) {
      const points = samples.map((s) => [s.t, l.value(s)]);
      c.strokeStyle = c.fillStyle = p.line[l.colour];
      if (l.filled) {
        c.globalAlpha = 0.1;
        c.lineWidth = 0.01;
        trace(c, points, x, y, bottom);
        c.globalAlpha = 1;
      }
      c.lineWidth = 1.75;
      c.setLineDash(l.dashed ? [5, 4] : []);
      trace(c, points, x, y);
    }
    c.setLineDash([]);
    if (at && !empty) {
      c.strokeStyle = p.quiet;
      c.lineWidth = 1;
      c.beginPath();
      c.moveTo(Math.round(x(at.t)) + 0.5, top);
      c.lineTo(Math.round(x(at.t)) + 0.5, bottom);
      c.stroke();
      for (const l of lines) {
        const v = l.value(at);
        if (v === undefined || v === null) continue;
        c.fillStyle = p.line[l.colour];
        c.strokeStyle = p.paper;
        c.lineWidth = 1.5;
        c.beginPath();
        c.arc(x(at.t), y(v), 3.5, 0, 7);
        c.fill();
        c.stroke();
      }
    }
    c.restore();
  }
}

// A Cursor is the moment that all plots show the values of.
export class Cursor {
  sample = null;
  samples = [];

  constructor(changed) { this.changed = changed; }

  // set chooses the sample next to t; null is none.
  set(t) {
    let best = null;
    if (t !== null) for (const s of this.samples) if (!best || Math.abs(s.t - t) < Math.abs(best.t - t)) best = s;
    if (best === this.sample) return;
    this.sample = best;
    this.changed();
  }

  move(by) {
    const n = this.samples.length;
    if (!n) return;
    const was = this.sample ? this.samples.indexOf(this.sample) : n - 1;
    this.sample = this.samples[Math.max(0, Math.min(n - 1, was + by))];
    this.changed();
  }

  // follow has the cursor on samples that are still there.
  follow(samples) {
    this.samples = samples;
    if (this.sample && !samples.includes(this.sample)) this.sample = samples.length ? samples[0] : null;
  }
}

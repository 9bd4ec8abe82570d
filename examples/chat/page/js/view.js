// The screen. Text from others only ever becomes text nodes.

import { Drawers } from './drawers.js';
import { el, hue, keyed } from './dom.js';

const $ = (id) => document.getElementById(id);
const GROUP_WITHIN = 3 * 60_000; // of one speaker's messages, under one name
const SURE_WITHIN = 4_000;
const TOAST_FOR = 6_000;

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const many = (n) => (n === 1 ? '1 member' : `${n} members`);

export class View {
  #on; #drawers; #shown = null; #atEnd = true; #toastTimer = 0; #countTimer = 0;

  // on: enter, say, join, open, close, whisper, kick, retry, signOut, seen
  constructor(on) {
    this.#on = on;
    this.#drawers = new Drawers($('scrim'), [
      [$('open-rooms'), $('rooms-panel')],
      [$('open-members'), $('members-panel')],
    ]);
    $('enter').addEventListener('submit', (ev) => {
      ev.preventDefault();
      $('enter-error').textContent = '';
      on.enter($('nick').value, $('first-room').value);
    });
    $('join').addEventListener('submit', (ev) => {
      ev.preventDefault();
      if (on.join($('join-room').value)) $('join-room').value = '';
    });
    $('say').addEventListener('submit', (ev) => {
      ev.preventDefault();
      this.#say();
    });
    // Enter sends, Shift and Enter begins a line. Asking what the key is about
    // to do, and not which key it is, leaves the Enter that ends an input
    // method's composition alone.
    let shift = false;
    $('text').addEventListener('keydown', (ev) => { shift = ev.shiftKey; });
    $('text').addEventListener('beforeinput', (ev) => {
      if (shift || !['insertLineBreak', 'insertParagraph'].includes(ev.inputType)) return;
      ev.preventDefault();
      this.#say();
    });
    $('text').addEventListener('input', () => this.#grow());
    $('leave').addEventListener('click', () => on.close());
    $('retry').addEventListener('click', () => on.retry());
    $('sign-out').addEventListener('click', () => on.signOut());
    // Who reads the end of the log goes on doing so when it shrinks, be it for
    // a notice or for a phone's keyboard.
    const log = $('log');
    log.addEventListener('scroll', () => {
      this.#atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
    });
    new ResizeObserver(() => {
      if (this.#atEnd) log.scrollTop = log.scrollHeight;
    }).observe(log);
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && !$('chat').hidden) on.seen();
    });
  }

  // gate shows the form that asks for a nickname.
  gate(nick, room, error = '') {
    $('chat').hidden = true;
    $('gate').hidden = false;
    this.#shown = null;
    this.#drawers.close();
    $('nick').value = nick;
    $('first-room').value = room;
    $('enter-error').textContent = error;
    this.entering(false);
    document.title = 'Sluice chat';
    $('nick').focus();
  }

  entering(busy) {
    $('enter-go').disabled = busy;
    $('enter-go').textContent = busy ? 'Entering…' : 'Enter';
  }

  chat() {
    $('gate').hidden = true;
    $('chat').hidden = false;
  }

  // link shows the state of the connection.
  link(state, retryAt, offline) {
    clearInterval(this.#countTimer);
    document.body.dataset.link = state;
    $('link-state').textContent = {
      idle: 'Offline', connecting: 'Connecting', open: 'Connected', waiting: 'Reconnecting', stopped: 'Offline',
    }[state];
    $('notice-count').textContent = '';
    $('notice').hidden = state === 'open' || state === 'idle';
    $('retry').hidden = state === 'connecting';
    switch (state) {
      case 'connecting':
        $('notice-text').textContent = 'Connecting…';
        break;
      case 'waiting': {
        $('notice-text').textContent = 'The connection is lost.';
        $('retry').textContent = 'Try now';
        const count = () => {
          const s = Math.max(1, Math.ceil((retryAt - Date.now()) / 1000));
          $('notice-count').textContent = `Next attempt in ${s} s.`;
        };
        count();
        this.#countTimer = setInterval(count, 1000);
        if (!$('gate').hidden) $('enter-error').textContent = 'The chat does not answer. Still trying.';
        break;
      }
      case 'stopped':
        [$('notice-text').textContent, $('retry').textContent] = {
          kicked: [`${offline?.by} removed you from ${offline?.room}.`, 'Come back'],
          replaced: ['The chat goes on in another window.', 'Use it here'],
        }[offline?.reason] ?? ['The chat ended the connection.', 'Connect'];
        break;
    }
  }

  // turned follows a change of talk that a person asked for.
  turned() {
    const typing = matchMedia('(pointer: fine)').matches;
    this.#drawers.close();
    if (typing) $('text').focus(); // on a phone the keyboard would jump up
  }

  toast(text) {
    $('toast').textContent = text;
    $('toast').hidden = false;
    clearTimeout(this.#toastTimer);
    this.#toastTimer = setTimeout(() => { $('toast').hidden = true; }, TOAST_FOR);
  }

  // render brings the screen up to the model. changed is the talk with a new
  // entry, if any.
  render(model, changed) {
    this.#head(model);
    this.#lists(model);
    this.#members(model);
    this.#log(model, changed);
    const unread = [...model.talks.values()].reduce((n, t) => n + t.unread, 0);
    $('unread-dot').hidden = unread === 0;
    $('open-rooms').ariaLabel = unread ? `Rooms, ${unread} unread` : 'Rooms';
    document.title = `${unread ? `(${unread}) ` : ''}${model.current ? model.current.id : 'Sluice chat'}`;
  }

  #head(model) {
    const t = model.current;
    $('title').textContent = t ? t.id : 'No room';
    $('subtitle').textContent = t?.joined ? many(t.members.size) : t?.kind === 'whisper' ? 'Only the two of you' : '';
    $('leave').hidden = !t;
    $('leave').textContent = t?.kind === 'whisper' ? 'Close' : 'Leave';
    $('text').disabled = $('send').disabled = !t;
    $('text').placeholder = !t ? 'Join a room to talk' : t.kind === 'room' ? `Message ${t.id}` : `Whisper to ${t.name}`;
    $('me').textContent = model.nick;
    $('me-avatar').textContent = model.nick.slice(0, 1);
    hue($('me-avatar'), model.nick);
  }

  #lists(model) {
    const talk = (t) => {
      const button = el('button', { type: 'button', class: 'row' }, el('bdi', { class: 'grow' }, t.name), el('span', { class: 'badge' }));
      button.addEventListener('click', () => this.#on.open(t.id));
      return el('li', {}, button);
    };
    const update = (li, t) => {
      const button = li.firstChild;
      button.classList.toggle('active', t.id === model.active);
      button.ariaCurrent = t.id === model.active ? 'true' : null;
      const badge = button.lastChild;
      badge.textContent = t.unread || '';
      badge.ariaLabel = t.unread ? `${t.unread} unread` : null;
    };
    keyed($('mine'), model.rooms, (t) => t.name, talk, update);
    keyed($('whispers'), model.whispers, (t) => t.name, talk, update);
    $('no-whispers').hidden = model.whispers.length > 0;

    const others = [...model.lobby].filter(([room]) => !model.talks.has('#' + room))
      .sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
    keyed($('others'), others, ([room]) => room, ([room]) => {
      const button = el('button', { type: 'button', class: 'row' }, el('bdi', { class: 'grow' }, room), el('span', { class: 'count' }));
      button.addEventListener('click', () => this.#on.join(room));
      return el('li', {}, button);
    }, (li, [, n]) => {
      li.firstChild.lastChild.textContent = n;
      li.firstChild.lastChild.ariaLabel = many(n);
    });
    $('no-others').hidden = others.length > 0;
  }

  #members(model) {
    const t = model.current;
    const room = t?.kind === 'room';
    $('members-panel').classList.toggle('none', !room);
    $('open-members').classList.toggle('none', !room);
    const list = room ? [...t.members].sort(([a], [b]) => (a < b ? -1 : 1)) : [];
    const mayKick = list.some(([nick, m]) => nick === model.nick && m.host);
    $('member-count').textContent = list.length || '';
    keyed($('members'), list, ([nick]) => nick, ([nick]) => this.#member(nick), (li, [nick, m]) => {
      const [row, kick] = li.children;
      const self = nick === model.nick;
      row.disabled = self;
      row.title = self ? '' : `Whisper to ${nick}`;
      row.lastChild.textContent = [self && 'you', m.host && 'host'].filter(Boolean).join(' · ');
      kick.hidden = self || !mayKick;
    });
  }

  #member(nick) {
    const avatar = el('span', { class: 'avatar', 'aria-hidden': 'true' }, nick.slice(0, 1));
    hue(avatar, nick);
    const row = el('button', { type: 'button', class: 'row' }, avatar, el('bdi', { class: 'grow' }, nick), el('span', { class: 'tag' }));
    row.addEventListener('click', () => this.#on.whisper(nick));
    const kick = el('button', { type: 'button', class: 'kick', 'aria-label': `Remove ${nick}` }, 'Remove');
    let timer = 0;
    const calm = () => {
      clearTimeout(timer);
      timer = 0;
      kick.textContent = 'Remove';
      kick.classList.remove('sure');
    };
    // A slip of the finger should not throw anybody out: it takes two clicks.
    kick.addEventListener('click', () => {
      if (timer) {
        calm();
        this.#on.kick(nick);
        return;
      }
      kick.textContent = 'Sure?';
      kick.classList.add('sure');
      timer = setTimeout(calm, SURE_WITHIN);
    });
    return el('li', { class: 'member' }, row, kick);
  }

  #log(model, changed) {
    const t = model.current ?? null;
    const log = $('log');
    if (t === this.#shown && (changed !== t || !t)) return;
    const appended = t === this.#shown && changed === t;
    if (appended) {
      log.append(this.#entry(t.entries.at(-1), t.entries.at(-2), model.nick));
      while (log.childElementCount > t.entries.length) log.firstChild.remove();
    } else {
      // Turning to another talk is no news to be read out.
      log.ariaLive = 'off';
      log.replaceChildren(...(t?.entries ?? []).map((e, i, all) => this.#entry(e, all[i - 1], model.nick)));
      requestAnimationFrame(() => { log.ariaLive = 'polite'; });
      this.#shown = t;
    }
    log.classList.toggle('empty', !t);
    const own = appended && t.entries.at(-1).from === model.nick;
    if (!appended || own) this.#atEnd = true;
    if (this.#atEnd) log.scrollTop = log.scrollHeight;
  }

  #entry(e, before, self) {
    if (e.note) return el('p', { class: 'note' }, e.note);
    const follows = before && before.from === e.from && !before.note && e.at - before.at < GROUP_WITHIN;
    const text = el('p', { class: 'text-of', dir: 'auto' }, e.text);
    const box = el('div', { class: `entry${follows ? ' follows' : ''}${e.from === self ? ' own' : ''}` });
    const head = el('p', { class: follows ? 'sr' : 'from' }, el('bdi', { class: 'who' }, e.from), ' ',
      el('time', { datetime: e.at.toISOString() }, clock.format(e.at)));
    const avatar = el('span', { class: 'avatar', 'aria-hidden': 'true' }, follows ? '' : e.from.slice(0, 1));
    hue(box, e.from);
    box.append(avatar, el('div', { class: 'body' }, head, text));
    return box;
  }

  #say() {
    const text = $('text').value.trim();
    if (!text || !this.#on.say(text)) return;
    $('text').value = '';
    this.#grow();
  }

  #grow() {
    const box = $('text');
    box.style.height = 'auto';
    box.style.height = `${Math.min(box.scrollHeight + 2, 140)}px`;
  }
}

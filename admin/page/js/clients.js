// Looking a client up, and what can be done to it.

import { $, make, text } from './dom.js';
import { number, plural } from './format.js';

// say shows how it went, to eyes and to screen readers.
function say(e, s, bad = false) {
  e.classList.toggle('bad', bad);
  e.textContent = ''; // the same words twice are news as well
  e.textContent = s;
}

export class Clients {
  actions = false;
  #turn = 0;

  constructor(link) {
    this.link = link;
    $('find').addEventListener('submit', (ev) => {
      ev.preventDefault();
      this.find($('find-by').value, $('find-id').value.trim());
    });
    $('publish').addEventListener('submit', (ev) => {
      ev.preventDefault();
      this.#publish({ topic: $('publish-topic').value }, $('publish-text'), $('publish-status'));
    });
    $('confirm-no').onclick = () => $('confirm').close('');
    $('confirm-yes').onclick = () => $('confirm').close('yes');
  }

  // begin shows what the gateway allows, and nothing more.
  begin(hello) {
    this.actions = hello.actions;
    $('publish-card').hidden = !hello.actions;
    if (!hello.actions) for (const e of document.querySelectorAll('.act')) e.remove();
  }

  clear() {
    $('found').replaceChildren();
    say($('find-status'), '');
  }

  topic(name) {
    $('publish-topic').value = name;
    $('publish-text').focus();
  }

  // look finds one that was chosen elsewhere on the page.
  look(uniqId) {
    $('find-by').value = 'uniqId';
    $('find-id').value = uniqId;
    $('find').scrollIntoView({ block: 'center' });
    $('find-id').focus({ preventScroll: true });
    this.find('uniqId', uniqId);
  }

  async find(by, id) {
    if (!id) return;
    const turn = ++this.#turn;
    say($('find-status'), 'Looking …');
    const reply = await this.link.ask({ do: 'find', [by]: id });
    if (turn !== this.#turn) return; // another one was asked for meanwhile
    const clients = reply.clients ?? [];
    $('found').replaceChildren(...clients.map((c) => this.#card(c)));
    if (reply.error && clients.length) say($('find-status'), `There may be more than these: ${reply.error}.`, true);
    else if (reply.error) say($('find-status'), `Not found: ${reply.error}.`, true);
    else if (!clients.length) say($('find-status'), `No client with this ${by} is online.`);
    else if (clients.length < reply.total) say($('find-status'), `The first ${clients.length} of ${plural(reply.total, 'client')}.`);
    else say($('find-status'), `${plural(clients.length, 'client')} found.`);
  }

  #card(c) {
    const topics = c.topics.map((t) => make('li', {}, make('bdi', {}, t)));
    if (c.topicCount > topics.length) topics.push(make('li', { class: 'quiet' }, `and ${number(c.topicCount - topics.length)} more`));
    const session = c.session
      ? [make('pre', { tabindex: '0', 'aria-label': 'session' }, c.session), c.sessionCut ? make('span', { class: 'quiet' }, `${number(c.sessionCut)} bytes more`) : '']
      : [make('span', { class: 'quiet' }, 'none')];
    const rows = [
      ['uniqId', make('bdi', { class: 'id' }, c.uniqId)],
      ['customerId', c.customerId ? make('bdi', { class: 'id' }, c.customerId) : make('span', { class: 'quiet' }, 'none')],
      ['session', ...session],
      [`topics (${number(c.topicCount)})`, topics.length ? make('ul', { class: 'chips' }, ...topics) : make('span', { class: 'quiet' }, 'none')],
    ];
    const card = make('li', { class: 'client' }, make('dl', {}, ...rows.flatMap(([name, ...value]) => [make('dt', {}, name), make('dd', {}, ...value)])));
    if (this.actions) card.append(...this.#controls(c));
    return card;
  }

  #controls(c) {
    const status = make('p', { class: 'quiet status', role: 'status' });
    const input = make('input', { placeholder: 'Message to this client', 'aria-label': `Message to ${c.uniqId}`, required: true, maxlength: '4096', autocomplete: 'off' });
    const form = make('form', { class: 'line' }, input, make('button', { class: 'primary', type: 'submit' }, 'Send'));
    form.addEventListener('submit', (ev) => {
      ev.preventDefault();
      this.#publish({ uniqId: c.uniqId }, input, status);
    });
    const kick = make('button', { class: 'danger kick', type: 'button', 'aria-label': `Kick ${c.uniqId}` }, 'Kick');
    kick.onclick = async () => {
      if (!(await this.#sure(c.uniqId))) return kick.focus();
      kick.disabled = true;
      const { error } = await this.link.ask({ do: 'kick', uniqId: c.uniqId });
      say(status, error ? `Not kicked: ${error}.` : 'It was put offline.', Boolean(error));
      kick.disabled = !error;
      for (const e of form.elements) e.disabled = !error;
    };
    return [make('div', { class: 'act' }, form, kick), status];
  }

  async #publish(to, input, status) {
    const { error, total } = await this.link.ask({ do: 'publish', ...to, text: input.value });
    if (error) return say(status, `Not sent: ${error}.`, true);
    say(status, to.topic && !total ? 'Nobody has subscribed to this topic.' : `Sent to ${plural(total, 'client')}.`);
    input.value = '';
    input.focus();
  }

  // sure asks whether a client is to be kicked.
  #sure(uniqId) {
    const dialog = $('confirm');
    text($('confirm-who'), uniqId);
    dialog.returnValue = '';
    dialog.showModal();
    // The event comes after the dialog has closed, and may be that of the time before.
    return new Promise((done) => { dialog.onclose = () => dialog.open || done(dialog.returnValue === 'yes'); });
  }
}

// The side panels are columns on a wide screen and drawers on a small one.

export class Drawers {
  #small = matchMedia('(max-width: 52rem)');
  #scrim; #pairs; #open = null;

  // pairs: [button, panel] each
  constructor(scrim, pairs) {
    this.#scrim = scrim;
    this.#pairs = pairs;
    for (const pair of pairs) pair[0].addEventListener('click', () => this.#show(pair));
    scrim.addEventListener('click', () => this.close());
    document.addEventListener('keydown', (ev) => {
      if (ev.key === 'Escape') this.close();
    });
    this.#small.addEventListener('change', () => this.close());
    this.close();
  }

  close() {
    const was = this.#open;
    this.#open = null;
    this.#apply();
    if (was) was[0].focus();
  }

  #show(pair) {
    this.#open = pair;
    this.#apply();
    pair[1].querySelector('button:not(:disabled), input')?.focus();
  }

  #apply() {
    for (const [button, panel] of this.#pairs) {
      const open = this.#open?.[1] === panel;
      panel.classList.toggle('open', open);
      // A drawer out of sight must be out of reach of the Tab key as well.
      panel.inert = this.#small.matches && !open;
      button.ariaExpanded = String(open);
    }
    this.#scrim.hidden = !this.#open;
  }
}

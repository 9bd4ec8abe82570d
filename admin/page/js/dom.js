// Small helpers in place of a framework. Nothing here takes text for markup, and the
// page's policy would not allow it.

export const $ = (id) => document.getElementById(id);

// make makes an element; properties that are no attributes, like onclick, are set as
// such. Children that are strings become text.
export function make(tag, properties = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === 'function') e[name] = value;
    else if (value === true) e.setAttribute(name, '');
    else if (value !== false) e.setAttribute(name, value);
  }
  e.append(...children);
  return e;
}

// text sets an element's text, if it is another one: what has not changed is not
// announced again, nor laid out.
export function text(e, s) {
  if (e.textContent !== s) e.textContent = s;
}

// follow makes the children of parent those of items, by key. One whose key was there
// is kept, and with it the focus.
export function follow(parent, items, key, create, update) {
  const old = new Map();
  for (const c of [...parent.children]) {
    if (old.has(c.dataset.key)) c.remove(); // names that were cut may be the same
    else old.set(c.dataset.key, c);
  }
  items.forEach((item, i) => {
    const k = String(key(item, i));
    let c = old.get(k);
    if (c) old.delete(k);
    else {
      c = create(item);
      c.dataset.key = k;
    }
    update?.(c, item);
    if (parent.children[i] !== c) parent.insertBefore(c, parent.children[i] ?? null);
  });
  for (const c of old.values()) c.remove();
}

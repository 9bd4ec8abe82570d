// Three small helpers in place of a framework.

// el makes an element. Children that are strings become text nodes, so nothing
// that somebody typed is ever taken for markup.
export function el(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.append(...children);
  return e;
}

// hue gives an element the colour of a name.
export function hue(element, name) {
  let h = 7;
  for (const c of name) h = (h * 31 + c.codePointAt(0)) % 360;
  element.style.setProperty('--hue', h);
}

// keyed makes the children of list follow items, one each. Elements are kept
// while their key is there: a focused button must not vanish under the finger
// because somebody else joined.
export function keyed(list, items, key, make, update) {
  const have = new Map([...list.children].map((c) => [c.dataset.key, c]));
  let at = list.firstElementChild;
  for (const item of items) {
    const k = key(item);
    let child = have.get(k);
    have.delete(k);
    if (!child) {
      child = make(item);
      child.dataset.key = k;
    }
    update(child, item);
    if (child === at) at = at.nextElementSibling;
    else list.insertBefore(child, at);
  }
  for (const gone of have.values()) gone.remove();
}

// The page's token stands behind the # of its address, which browsers keep to
// themselves: it is in no server's log until the page connects with it.
const log = document.getElementById('log');
const link = document.getElementById('link');
const form = document.getElementById('say');
const text = document.getElementById('text');

let socket;
let wait = 500;

function show(open, words) {
  link.textContent = words;
  form.querySelector('button').disabled = !open;
}

function add({from, text}) {
  const item = document.createElement('li');
  if (from) {
    const who = document.createElement('b');
    who.textContent = from;
    item.append(who, ' ', text);
  } else {
    item.className = 'notice';
    item.textContent = text;
  }
  log.append(item);
  while (log.children.length > 200) log.firstChild.remove();
  log.scrollTop = log.scrollHeight;
}

function connect() {
  show(false, 'connecting …');
  const url = new URL('/ws', location.origin.replace('http', 'ws'));
  url.searchParams.set('token', location.hash.slice(1));
  socket = new WebSocket(url);
  socket.onopen = () => {
    wait = 500;
    show(true, 'connected');
  };
  socket.onmessage = (e) => add(JSON.parse(e.data));
  socket.onclose = (e) => {
    // Pages are not told with what status a handshake was refused.
    show(false, e.reason || 'no connection: the token may have expired; trying again …');
    setTimeout(connect, wait * (0.5 + Math.random()));
    wait = Math.min(wait * 2, 15000);
  };
}

form.onsubmit = (e) => {
  e.preventDefault();
  if (socket.readyState !== WebSocket.OPEN) return;
  socket.send(text.value);
  text.value = '';
};

window.onhashchange = () => location.reload();
connect();
text.focus();

// The page's side of the gateway: it connects to where it came from, with the
// cookie that the browser sends along, and comes back when the link is lost.
const log = document.getElementById('log');
const link = document.getElementById('link');
const form = document.getElementById('say');
const text = document.getElementById('text');
const me = document.getElementById('me').textContent;

let socket;
let wait = 500;

function show(state, words) {
  document.body.dataset.link = state;
  link.textContent = words;
  form.querySelector('button').disabled = state !== 'open';
}

function add({from, text}) {
  const item = document.createElement('li');
  item.className = from === me ? 'mine' : '';
  const who = document.createElement('b');
  who.textContent = from;
  const what = document.createElement('span');
  what.textContent = text;
  item.append(who, ' ', what);
  log.append(item);
  while (log.children.length > 200) log.firstChild.remove();
  log.scrollTop = log.scrollHeight;
}

function connect() {
  show('connecting', 'connecting …');
  socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws');
  socket.onopen = () => {
    wait = 500;
    show('open', location.protocol === 'https:' ? 'connected, encrypted' : 'connected');
  };
  socket.onmessage = (e) => add(JSON.parse(e.data));
  socket.onclose = () => {
    show('lost', 'no connection, trying again …');
    setTimeout(connect, wait * (0.5 + Math.random()));
    wait = Math.min(wait * 2, 15000);
  };
}

form.onsubmit = (e) => {
  e.preventDefault();
  if (text.value.trim() === '' || socket.readyState !== WebSocket.OPEN) return;
  socket.send(text.value);
  text.value = '';
};

connect();
text.focus();

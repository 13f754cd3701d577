// The WebSocket to the page's process: shows its token, comes back by itself, and says how it stands.

const CLOSED = {
  4000: ["ended", "The session has ended. This page waits for the next one."],
  4401: ["refused", "This address is not valid any more. Scan the code that the terminal shows now."],
  4429: ["lost", "This page sent too much at once. Trying again."],
  4503: ["lost", "Too many browsers are connected. Trying again."],
};
const SOON_MS = 400;
const LATER_MS = 3000;
const REFUSED_MS = 8000;

export class Link extends EventTarget {
  #socket = null;
  #waitMs = SOON_MS;
  #timer = 0;
  #ended = false;

  connect() {
    clearTimeout(this.#timer);
    const socket = new WebSocket(`ws://${location.host}/socket`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(JSON.stringify({ type: "hello", token: location.hash.slice(1) }));
    socket.onmessage = (event) => this.#hear(event.data);
    socket.onclose = (event) => this.#closed(socket, event.code);
    this.#socket = socket;
  }

  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  send(message) {
    if (this.open) this.#socket.send(JSON.stringify(message));
  }

  #hear(data) {
    if (data instanceof ArrayBuffer) {
      this.#tell("picture", new Uint8Array(data));
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "about") {
      this.#waitMs = SOON_MS;
      this.#ended = false;
      this.#state("live", "Live");
    }
    this.#tell(message.type, message);
  }

  #closed(socket, code) {
    if (socket !== this.#socket) return;
    const [state, text] = CLOSED[code] ?? ["lost", "The connection is lost. Trying again."];
    this.#ended = state === "ended" || (this.#ended && !CLOSED[code]); // nobody answers after the end
    if (this.#ended) this.#state("ended", CLOSED[4000][1]);
    else this.#state(state, text);
    this.#timer = setTimeout(() => this.connect(), state === "refused" ? REFUSED_MS : this.#waitMs);
    this.#waitMs = Math.min(this.#waitMs * 1.6, LATER_MS);
  }

  #state(state, text) {
    this.#tell("link", { state, text });
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

// The parameters as this page shows them. A move made here counts at once and is sent; until it is acknowledged,
// what comes from the session about that parameter is older, and is passed over. So a fader under a finger never
// jumps back, and whoever moves last, here or anywhere, is what all pages show in the end.

const SEND_MS = 20;

export class Values extends EventTarget {
  #link;
  #values = {};
  #waiting = {}; // moved, not sent yet
  #pending = new Map(); // name -> number of the last change sent for it
  #number = 0;
  #timer = 0;

  constructor(link) {
    super();
    this.#link = link;
    link.addEventListener("values", (event) => this.#hear(event.detail));
    link.addEventListener("link", (event) => {
      if (event.detail.state !== "live") this.#forget();
    });
  }

  get(name) {
    return this.#values[name];
  }

  set(name, value) {
    if (!this.#link.open) return;
    this.#waiting[name] = value;
    this.#pending.set(name, Infinity);
    this.#change(name, value);
    if (!this.#timer) this.#timer = setTimeout(() => this.#send(), SEND_MS);
  }

  #send() {
    this.#timer = 0;
    const number = this.#number++;
    for (const name of Object.keys(this.#waiting)) this.#pending.set(name, number);
    this.#link.send({ type: "set", values: this.#waiting, number });
    this.#waiting = {};
  }

  #hear({ values, acknowledged }) {
    for (const [name, value] of Object.entries(values)) {
      if ((this.#pending.get(name) ?? -1) > acknowledged) continue;
      this.#pending.delete(name);
      this.#change(name, value);
    }
  }

  #change(name, value) {
    if (this.#values[name] === value) return;
    this.#values[name] = value;
    this.dispatchEvent(new CustomEvent(name, { detail: value }));
  }

  #forget() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#waiting = {};
    this.#pending.clear();
  }
}

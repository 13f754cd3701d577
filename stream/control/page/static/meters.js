// Meters: up at once, down at a steady pace, with the highest peak held for a moment.

const FLOOR_DB = -60;
const FALL_DB_PER_S = 26;
const HOLD_MS = 1500;
const SPOKEN_MS = 1000;

const decibels = (peak) => (peak > 0 ? Math.max(FLOOR_DB, 20 * Math.log10(peak)) : FLOOR_DB);
const share = (db) => Math.min(1, Math.max(0, 1 - db / FLOOR_DB));

export class Meter {
  #box;
  #output;
  #target = FLOOR_DB;
  #shown = FLOOR_DB;
  #top = FLOOR_DB;
  #topUntil = 0;
  #spoken = 0;

  constructor(box) {
    this.#box = box;
    this.#output = box.querySelector("output");
  }

  hear(peak) {
    this.#target = decibels(peak);
    this.#shown = Math.max(this.#shown, this.#target);
    const now = performance.now();
    if (this.#target >= this.#top || now > this.#topUntil) {
      this.#top = this.#target;
      this.#topUntil = now + HOLD_MS;
      this.#output.textContent = this.#top <= FLOOR_DB ? "–" : String(Math.round(this.#top)).replace("-", "\u2212");
      this.#box.classList.toggle("is-clipping", peak > 1);
    }
    if (now - this.#spoken > SPOKEN_MS) {
      this.#spoken = now;
      this.#box.setAttribute("aria-valuenow", Math.round(Math.min(0, this.#top)));
      this.#box.setAttribute("aria-valuetext", `${Math.round(this.#top)} decibels`);
    }
  }

  draw(seconds) {
    this.#shown = Math.max(this.#target, this.#shown - FALL_DB_PER_S * seconds);
    this.#box.style.setProperty("--level", share(this.#shown).toFixed(4));
    this.#box.style.setProperty("--top", share(this.#top).toFixed(4));
  }

  rest() {
    this.hear(0);
    this.#target = FLOOR_DB;
  }
}

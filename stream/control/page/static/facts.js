// Numbers and words about the session: in the bar, and at the end of the page.

const STATES = {
  running: "",
  stopped: "stopped",
  restarting: "the model crashed and is being restarted",
  failed: "the model crashed too often: playing on without it",
};
const WARN_MS = 10000;
const milliseconds = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
const clock = (seconds) => {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return (parts[0] ? parts : parts.slice(1)).map((part, index) => (index ? String(part).padStart(2, "0") : part)).join(":");
};

export class Facts {
  #find;
  #facts = null;
  #figures = null;
  #rows = new Map();
  #late = { hops: Infinity, seconds: Infinity }; // what was before we looked is no news
  #warnUntil = 0;

  constructor(find) {
    this.#find = find;
  }

  hearFacts(facts) {
    this.#facts = facts;
    this.#find("latency").textContent = milliseconds(facts.latency_ms);
    this.#find("title").textContent = facts.title;
    this.#showRows();
  }

  hearFigures(figures) {
    this.#figures = figures;
    this.#text("load", `${Math.round(100 * figures.load)} %`);
    this.#text("late", String(figures.late_hops));
    this.#text("recorded", figures.recorded_s > 0 ? clock(figures.recorded_s) : "");
    this.#find("load").classList.toggle("is-high", figures.load > 0.8);
    const now = performance.now();
    if (figures.late_hops > this.#late.hops || figures.late_s > this.#late.seconds) this.#warnUntil = now + WARN_MS;
    this.#late = { hops: figures.late_hops, seconds: figures.late_s };
    this.#find("late-box").classList.toggle("is-warned", now < this.#warnUntil);
    this.#showRows();
  }

  #showRows() {
    const facts = this.#facts;
    const now = this.#figures;
    if (!facts || !now) return;
    this.#row("Model", facts.separates ? facts.model : "none: nothing is separated");
    this.#row("Separation", STATES[now.state] || now.separator || "running");
    this.#row("Latency", facts.latency.map(([name, ms]) => `${name} ${ms.toFixed(1)}`).join(" + ") + " ms");
    this.#row("A hop takes", `${now.hop_ms.toFixed(1)} of ${now.deadline_ms.toFixed(1)} ms, 99 %: ${now.hop_p99_ms.toFixed(1)}`);
    this.#row("Without vocals", `${now.late_s.toFixed(2)} s`);
    this.#row("Xruns", String(now.xruns));
    if (now.losses) this.#row("Device lost", `${now.losses} times`);
    this.#row("Playing", clock(now.seconds));
    if (now.recording || this.#rows.has("Recording")) this.#row("Recording", now.recording || "–");
    if (now.notice) this.#row("Notice", now.notice);
  }

  #row(name, text) {
    if (!this.#rows.has(name)) {
      const box = document.createElement("div");
      box.append(document.createElement("dt"), document.createElement("dd"));
      box.firstChild.textContent = name;
      this.#find("facts").append(box);
      this.#rows.set(name, box.lastChild);
    }
    const value = this.#rows.get(name);
    if (value.textContent !== text) value.textContent = text;
  }

  #text(id, text) {
    if (this.#find(id).textContent !== text) this.#find(id).textContent = text;
  }
}

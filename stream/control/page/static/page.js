// The control page: everything meets here.

import { presets, segments } from "./choices.js";
import { fader, gain } from "./fader.js";
import { Facts } from "./facts.js";
import { Link } from "./link.js";
import { Meter } from "./meters.js";
import { holdPad, toggle } from "./pads.js";
import { hearPictures, MIXTURE, Picture, VOCALS } from "./pictures.js";
import { Values } from "./values.js";

const LEAST_MS = 30; // between two drawings: the machine that draws may be the one that separates
const find = (id) => document.getElementById(id);
const link = new Link();
const values = new Values(link);
const mixture = new Picture(find("picture-mixture"), MIXTURE);
const vocals = new Picture(find("picture-vocals"), VOCALS);
const meters = { input: new Meter(find("meter-input")), vocals: new Meter(find("meter-vocals")), output: new Meter(find("meter-output")) };
const facts = new Facts(find);

function showLink({ state, text }) {
  document.body.dataset.link = state;
  find("link-state").textContent = { live: "Live", ended: "Ended", refused: "Refused", lost: "Reconnecting" }[state];
  find("banner").textContent = text;
  find("banner").hidden = state === "live";
  find("desk").inert = state !== "live";
  if (state !== "live") for (const meter of Object.values(meters)) meter.rest();
  say(text);
}

function say(text) {
  find("spoken").textContent = text;
}

let toastTimer = 0;
function toast(text) {
  find("toast").textContent = text;
  find("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (find("toast").hidden = true), 6000);
}

let drawn = performance.now();
function draw(now) {
  requestAnimationFrame(draw);
  if (now - drawn < LEAST_MS) return;
  const seconds = Math.min(0.2, (now - drawn) / 1000);
  drawn = now;
  mixture.draw();
  vocals.draw();
  for (const meter of Object.values(meters)) meter.draw(seconds);
}

async function stayAwake() {
  if (!document.hidden && navigator.wakeLock) await navigator.wakeLock.request("screen").catch(() => {});
}

for (const box of document.querySelectorAll("[data-fader]")) fader(box, values);
gain(find("gain"), find("gain-value"), values, -60);
holdPad(find("mute"), link, values);
for (const name of ["bypass", "record"]) toggle(find(name), name, values);
find("split").addEventListener("click", () => values.set("split", true));
find("reload").addEventListener("click", () => link.send({ type: "reload" }));
presets(find("presets"), link, find("save"), find("delete"));

const WORDS = {
  bypass: ["Bypass: the original plays", "Bypass off"],
  mute: ["Vocals muted", "Vocals back"],
  record: ["Recording", "Recording ended"],
};
let settled = false; // what stands there at first is no news
for (const [name, words] of Object.entries(WORDS)) {
  values.addEventListener(name, (event) => settled && say(words[event.detail ? 0 : 1]));
}

link.addEventListener("link", (event) => showLink(event.detail));
link.addEventListener("about", (event) => segments(find("steps"), "steps", event.detail.parameters.steps.choices, values));
link.addEventListener("values", () => (settled = true));
link.addEventListener("facts", (event) => facts.hearFacts(event.detail));
let notice = null; // what was said before we looked is in the facts
link.addEventListener("figures", ({ detail }) => {
  facts.hearFigures(detail);
  if (notice !== null && detail.notice && detail.notice !== notice) toast(detail.notice);
  notice = detail.notice;
  find("banner").hidden = !detail.device;
  find("banner").textContent = detail.device;
  for (const [name, meter] of Object.entries(meters)) meter.hear(detail[name]);
});
link.addEventListener("picture", (event) => hearPictures(event.detail, mixture, vocals));
link.addEventListener("refused", (event) => toast(event.detail.text));
document.addEventListener("visibilitychange", stayAwake);
stayAwake();
requestAnimationFrame(draw);
link.connect();

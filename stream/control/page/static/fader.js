// Faders: a real range input for keys and screen readers, over a surface for fingers. A finger moves the level from
// where it is, so that a touch alone changes nothing; a mouse goes to where it points.

const BASE = 24; // pixels of the handle, which stays in view at 0

export function fader(box, values) {
  const name = box.dataset.fader;
  const input = box.querySelector("input");
  const output = box.querySelector("output");
  let lastY = null;
  let exact = 0; // between two steps, so that a slow finger is not lost in rounding

  function show(value) {
    const percent = Math.round(value * 100);
    box.style.setProperty("--share", value);
    box.classList.toggle("is-silent", value === 0);
    output.textContent = percent;
    input.value = value;
    input.setAttribute("aria-valuetext", `${percent} percent`);
  }

  function move(value) {
    exact = Math.min(1, Math.max(0, value));
    values.set(name, Math.round(exact * 100) / 100);
  }

  box.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || lastY !== null) return;
    box.setPointerCapture(event.pointerId);
    lastY = event.clientY;
    exact = values.get(name) ?? 0;
    box.classList.add("is-held");
    if (event.pointerType === "mouse") {
      const { bottom, height } = box.getBoundingClientRect();
      move((bottom - BASE / 2 - event.clientY) / (height - BASE));
    }
    input.focus({ preventScroll: true, focusVisible: false });
    event.preventDefault();
  });
  box.addEventListener("pointermove", (event) => {
    if (lastY === null || !box.hasPointerCapture(event.pointerId)) return;
    if (Math.abs(exact - values.get(name)) > 0.006) exact = values.get(name); // another hand has moved it
    move(exact + (lastY - event.clientY) / (box.clientHeight - BASE));
    lastY = event.clientY;
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    box.addEventListener(end, () => {
      lastY = null;
      box.classList.remove("is-held");
    });
  }
  input.addEventListener("input", () => values.set(name, input.valueAsNumber));
  values.addEventListener(name, (event) => show(event.detail));
}

export function gain(input, output, values, least) {
  function show(value) {
    const text = value <= least ? "silent" : `${value > 0 ? "+" : ""}${Number(value.toFixed(1))} dB`;
    output.textContent = text.replace("-", "\u2212");
    input.value = value;
    input.style.setProperty("--share", (value - input.min) / (input.max - input.min));
    input.setAttribute("aria-valuetext", text);
  }
  input.addEventListener("input", () => values.set("gain", input.valueAsNumber));
  input.addEventListener("dblclick", () => values.set("gain", 0));
  values.addEventListener("gain", (event) => show(event.detail));
}

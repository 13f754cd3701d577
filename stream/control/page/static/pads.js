// The pad that mutes while it is held, and buttons that stay pressed.

const REFRESH_MS = 500; // the other side lets go when it hears nothing for two seconds

export function holdPad(button, link, values) {
  let held = false;
  let timer = 0;

  function hold(on) {
    if (held === on) return;
    held = on;
    clearInterval(timer);
    link.send({ type: "hold", on });
    if (on) timer = setInterval(() => link.send({ type: "hold", on: true }), REFRESH_MS);
    button.classList.toggle("is-held", on);
  }
  const letGo = () => hold(false);

  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    hold(true);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) button.addEventListener(end, letGo);
  for (const end of ["blur", "pagehide"]) window.addEventListener(end, letGo);
  document.addEventListener("visibilitychange", () => document.hidden && letGo());
  link.addEventListener("link", (event) => event.detail.state !== "live" && letGo());

  button.addEventListener("keydown", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault(); // no click of its own
    if (!event.repeat) hold(true);
  });
  button.addEventListener("keyup", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    letGo();
  });
  let pressed = false;
  button.addEventListener("pointerdown", () => (pressed = true), { capture: true });
  button.addEventListener("click", () => {
    if (!pressed) values.set("mute", !values.get("mute")); // a screen reader's click cannot be held
    pressed = false;
  });
  button.addEventListener("contextmenu", (event) => event.preventDefault()); // what a long touch would open
  values.addEventListener("mute", (event) => button.setAttribute("aria-pressed", event.detail));
}

export function toggle(button, name, values) {
  button.addEventListener("click", () => values.set(name, !values.get(name)));
  values.addEventListener(name, (event) => button.setAttribute("aria-pressed", event.detail));
}

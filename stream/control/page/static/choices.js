// Things to choose from: presets as chips, and how many steps the model makes.

const SURE_MS = 4000;

export function presets(box, link, form, remove) {
  let current = null;

  function chip(name, isCurrent) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "chip";
    button.textContent = name;
    button.setAttribute("aria-pressed", isCurrent);
    button.addEventListener("click", () => link.send({ type: "recall", preset: name }));
    return button;
  }

  function show(names, chosen) {
    const focused = box.contains(document.activeElement) ? document.activeElement.textContent : null;
    box.replaceChildren(...names.map((name) => chip(name, name === chosen)));
    if (focused !== null) [...box.children].find((button) => button.textContent === focused)?.focus();
    current = chosen;
    remove.hidden = chosen === null;
    ask(false);
  }

  function ask(really) {
    remove.textContent = `${really ? "Really delete" : "Delete"} ${current ?? ""}`;
    remove.classList.toggle("is-sure", really);
  }

  let shown = "";
  link.addEventListener("facts", (event) => {
    const { presets: names, preset } = event.detail;
    form.hidden = names === null;
    const now = JSON.stringify([names, preset]);
    if (now !== shown) show(names ?? [], preset);
    shown = now;
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    link.send({ type: "save", preset: form.elements.name.value.trim() });
    form.reset();
    form.elements.name.blur(); // puts a phone's keyboard away
  });
  remove.addEventListener("click", () => {
    if (remove.classList.contains("is-sure")) link.send({ type: "delete", preset: current });
    else setTimeout(() => ask(false), SURE_MS);
    ask(!remove.classList.contains("is-sure"));
  });
}

export function segments(box, name, choices, values) {
  box.replaceChildren(
    ...choices.map((choice) => {
      const label = document.createElement("label");
      const input = document.createElement("input");
      input.type = "radio";
      input.name = name;
      input.value = choice;
      input.checked = values.get(name) === choice;
      input.addEventListener("change", () => values.set(name, choice));
      const text = document.createElement("span");
      text.textContent = choice === "auto" ? "Auto" : choice;
      label.append(input, text);
      return label;
    }),
  );
  values.addEventListener(name, (event) => {
    for (const input of box.querySelectorAll("input")) input.checked = input.value === event.detail;
  });
}

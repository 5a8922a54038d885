// The explorer's page. Every question goes to POST ask/VIEW with the image as its body; the answer is one line of JSON, or one a step.

const at = (id) => document.getElementById(id);
const image = { photo: null, sample: null }; // one of the two, or neither yet
let network = null; // what ask/network answered

// --- asking ---------------------------------------------------------------------------------------------------------------------

const running = new Map(); // view -> the AbortController of the question that it waits for
const OF_AN_IMAGE = ["scores", "saliency", "activations", "fooling"];

async function* answers(view, given, signal) {
  const query = new URLSearchParams(given);
  const body = OF_AN_IMAGE.includes(view) ? image.photo : null;
  if (body) query.set("name", body.name);
  else if (image.sample !== null) query.set("sample", image.sample);
  const response = await fetch(`ask/${view}?${query}`, { method: "POST", body, signal });
  if (!response.ok) throw new Error(await response.text());
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

// Asks, and draws every answer, unless a newer question of the same view has taken its place. True if it came to its end.
async function show(view, given, draw, doing) {
  stop(view);
  const controller = new AbortController();
  running.set(view, controller);
  const section = at(view);
  section?.setAttribute("aria-busy", "true");
  say(doing);
  try {
    for await (const answer of answers(view, given, controller.signal)) {
      if (controller.signal.aborted) return false;
      if ("error" in answer) throw new Error(answer.error);
      draw(answer);
      section?.classList.remove("stale");
    }
    say("");
    return true;
  } catch (error) {
    if (controller.signal.aborted) return false;
    say("");
    section?.classList.add("stale");
    at("error").textContent = error instanceof TypeError ? "the explorer does not answer; was it ended in the terminal?" : error.message;
    return false;
  } finally {
    if (running.get(view) === controller) {
      running.delete(view);
      section?.removeAttribute("aria-busy");
    }
  }
}

function stop(view) {
  running.get(view)?.abort();
  running.delete(view);
  at(view)?.removeAttribute("aria-busy");
}

// An error stands until the person does something else, not until the next of several questions that one image raises.
for (const doing of ["change", "submit", "click", "drop"]) {
  addEventListener(doing, (event) => {
    if (doing !== "click" || event.target.closest("button")) at("error").textContent = "";
  }, { capture: true });
}

let fading = null;

// What is done now, or what came of it, which fades after a while.
function say(text, { fades = false } = {}) {
  clearTimeout(fading);
  at("status").textContent = text;
  if (fades) fading = setTimeout(() => say(""), 6000);
}

// --- drawing --------------------------------------------------------------------------------------------------------------------

const percent = (share) => (share >= 0.0995 ? `${(100 * share).toFixed(0)} %` : share >= 0.000995 ? `${(100 * share).toFixed(1)} %` : "< 0.1 %");
const number = (value) => (value === 0 ? "0" : Math.abs(value) < 0.001 || Math.abs(value) >= 10000 ? value.toExponential(1) : String(Number(value.toPrecision(3))));
const first = (names) => names.split(", ")[0];
const after = (steps) => `${steps} ${steps === 1 ? "step" : "steps"}`;

function picture(id, url, alt) {
  at(id).src = url;
  at(id).alt = alt;
}

function element(tag, text, name) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  if (name) made.className = name;
  return made;
}

function bars(id, classes) {
  at(id).replaceChildren(
    ...classes.map(({ name, probability, role }) => {
      const item = element("li", "", role), line = element("div", "", "line"), label = element("span", first(name)), bar = element("div", "", "bar"), filled = element("i");
      if (name !== first(name)) label.append(" ", element("small", name.slice(first(name).length + 2)));
      line.append(label, element("span", percent(probability), "number"));
      filled.style.width = `${100 * probability}%`;
      bar.append(filled);
      item.append(line, bar);
      return item;
    }),
  );
}

function tiles(id, shown, text) {
  at(id).replaceChildren(
    ...shown.map((tile) => {
      const item = element("li"), made = element("img");
      made.src = tile.picture;
      made.alt = made.title = text(tile);
      item.append(made);
      return item;
    }),
  );
}

function scale(id, { low, high, colours }) {
  at(`${id}-low`).textContent = number(low);
  at(`${id}-high`).textContent = `≥ ${number(high)}`;
  picture(`${id}-colours`, colours, `colours of the scale, from dark for ${number(low)} to bright for ${number(high)} and more`);
}

// --- the network ----------------------------------------------------------------------------------------------------------------

async function begin() {
  await show("networks", {}, ({ published, runs, chosen, engine }) => {
    at("engine").textContent = engine === "torch" ? ", by PyTorch" : ", by hand-written backward passes";
    const groups = [["published", published], ["runs", runs]].filter(([, names]) => names.length).map(([title, names]) => {
      const group = element("optgroup");
      group.label = title;
      group.append(...names.map((name) => new Option(name, name, name === chosen, name === chosen)));
      return group;
    });
    at("network").replaceChildren(...groups);
  }, "");
  if (at("network").value) await open();
}

let openings = 0;

async function open() {
  const mine = ++openings;
  for (const view of [...running.keys()]) stop(view);
  image.sample = null;
  network = null;
  for (const id of ["about-image", "about-network", "samples"]) at(id).hidden = true;
  for (const result of document.querySelectorAll(".result")) result.hidden = true;
  const name = at("network").value;
  const opened = await show("network", { network: name }, (answer) => {
    network = answer;
    document.body.classList.toggle("pixelated", answer.pixelated);
    at("classes").replaceChildren(...answer.classes.map((text) => new Option(text)));
    const last = answer.layers.findLastIndex((layer) => layer.shape.includes("×"));
    at("layer").replaceChildren(...answer.layers.map((layer, index) => new Option(`${layer.name} · ${layer.kind} · ${layer.shape}`, layer.name, false, index === Math.max(0, Math.min(1, last)))));
    at("samples").hidden = !answer.samples;
    at("sample").max = answer.samples - 1;
    at("sample").value = 0;
    at("sample-range").textContent = `0 to ${answer.samples - 1}`;
    for (const id of ["saliency-class", "fooling-class", "class-class"]) at(id).value = "";
  }, `opening ${name} …${at("network").selectedOptions[0].parentNode.label === "published" ? " (its weights are fetched the first time)" : ""}`);
  if (!opened || mine !== openings) return;
  at("about-network").hidden = false;
  await show("filters", { network: network.name }, ({ layer, units, tiles: shown }) => {
    at("filters").hidden = !shown.length;
    tiles("units", shown, ({ unit }) => `weights of unit ${unit}`);
    at("filters-text").textContent = `The ${shown.length === units ? "" : `${shown.length} greatest of `}${units} units of ${layer}. Grey is 0; each is as bright as it can be.`;
  }, "");
  if (mine !== openings) return; // another network was chosen meanwhile
  if (image.photo) await look();
  else if (network.samples) await choose(0);
}

// --- the image ------------------------------------------------------------------------------------------------------------------

async function choose(sample) {
  if (!network?.samples) return;
  image.photo = null;
  image.sample = sample;
  at("photo").value = "";
  at("sample").value = sample;
  await look();
}

async function upload(file) {
  if (!file) return;
  image.photo = file;
  image.sample = null;
  if (network) await look();
}

let looks = 0;

async function look() {
  const mine = ++looks;
  stop("fooling");
  for (const view of ["saliency", "activations"]) {
    stop(view);
    at(view).classList.add("stale"); // what it shows is of the image before
  }
  at("fooling").querySelector(".result").hidden = true;
  const seen = await show("scores", { network: network.name }, ({ picture: url, top, true: truth }) => {
    at("hint").hidden = true;
    at("about-image").hidden = false;
    picture("seen", url, `The image as the network sees it, taken for ${first(top[0].name)}`);
    bars("top", top);
    at("truth").hidden = truth === null;
    if (truth) at("truth").textContent = `It is ${first(truth.name)}, which the network believes with ${percent(truth.probability)}.`;
  }, "computing the scores …");
  if (!seen) {
    if (mine === looks) at("about-image").hidden = true;
    return;
  }
  await saliency();
  if (mine === looks && network) await activations();
}

const saliency = () => show("saliency", { network: network.name, method: at("method").value, class: at("saliency-class").value }, (answer) => {
  const what = `${at("method").selectedOptions[0].text} for ${first(answer.class.name)}`;
  picture("overlay", answer.overlay, `${what}, as colours over the image`);
  picture("map", answer.map, `${what}, alone`);
  scale("saliency", answer);
  at("saliency-text").textContent = `For ${first(answer.class.name)} (${percent(answer.class.probability)}): ${answer.quantity}.`;
}, `computing ${at("method").selectedOptions[0].text} …`);

const activations = () => show("activations", { network: network.name, layer: at("layer").value }, (answer) => {
  at("channels").classList.toggle("single", !answer.places);
  tiles("channels", answer.tiles, ({ channel, low, high }) => answer.places ? `channel ${channel}, from ${number(low)} to ${number(high)}` : `all units of ${answer.layer}, row by row`);
  scale("activations", answer);
  at("activations-text").textContent = answer.places
    ? `${answer.tiles.length === answer.channels ? "All" : `The ${answer.tiles.length} strongest of`} ${answer.channels} channels, those with the greatest values first, on one scale.`
    : `All ${answer.units} units, row by row.`;
}, "computing the activations …");

// --- images as they form --------------------------------------------------------------------------------------------------------

// A form with a stop button: draws until the last step, or until it is stopped.
function stream(view, draw, doing) {
  const section = at(view), [form, result, button] = ["form", ".result", ".stop"].map((part) => section.querySelector(part));
  const input = form.querySelector("input");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!network) return;
    result.hidden = true;
    button.disabled = false;
    let last = null;
    const ended = await show(view, { network: network.name, class: input.value }, (answer) => {
      draw(answer, last === null);
      result.hidden = false;
      last = answer;
    }, doing);
    if (running.has(view)) return; // it was started again
    if (document.activeElement === button) form.querySelector("[type=submit]").focus();
    button.disabled = true;
    if (ended) say(last.fooled ? `fooled after ${after(last.step)}` : "fooled" in last ? `not fooled after ${after(last.step)}` : `drawn in ${after(last.step)}`, { fades: true });
  });
  button.addEventListener("click", () => {
    stop(view);
    say("stopped", { fades: true });
  });
}

let course = [];

function fooling(answer, isFirst) {
  if (isFirst) course = [];
  course.push(answer);
  const { from, target, step, fooled, gain, largest } = answer;
  picture("fooled", answer.picture, `The image after ${after(step)}, taken for ${first(fooled ? target.name : from.name)}`);
  at("fooled-text").textContent = fooled ? `fooled after ${after(step)}` : `step ${step} of at most ${answer.steps}`;
  picture("difference", answer.difference, `What was changed, ${gain} times magnified`);
  at("difference-text").textContent = `what was changed, × ${gain}; at most ${largest} of 255 grey levels`;
  bars("contest", [{ ...from, role: "from" }, { ...target, role: "to" }]);
  const line = (key) => "M" + course.map((seen, index) => `${(100 * index) / Math.max(1, course.length - 1)} ${40 - 40 * seen[key].probability}`).join("L");
  at("course").querySelector(".from").setAttribute("d", line("from"));
  at("course").querySelector(".to").setAttribute("d", line("target"));
  at("course").setAttribute("aria-label", `Probabilities from step 0 to ${step}: ${first(from.name)} from ${percent(course[0].from.probability)} to ${percent(from.probability)}, ${first(target.name)} from ${percent(course[0].target.probability)} to ${percent(target.probability)}`);
}

function drawing({ step, steps, picture: url, score, target }) {
  picture("drawn", url, `What the network takes for ${first(target)}, after ${step} of ${steps} steps`);
  at("drawn-text").textContent = `${first(target)}, step ${step} of ${steps}, score ${number(score)}`;
}

stream("fooling", fooling, "changing the image …");
stream("class", drawing, "drawing …");

// --- controls -------------------------------------------------------------------------------------------------------------------

function submits(id, run) {
  at(id).querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (network) run();
  });
}

submits("saliency", saliency);
submits("activations", activations);
at("method").addEventListener("change", () => network && saliency());
at("layer").addEventListener("change", () => network && activations());
at("network").addEventListener("change", open);
at("photo").addEventListener("change", () => upload(at("photo").files[0]));
at("samples").addEventListener("submit", (event) => {
  event.preventDefault();
  choose(Number(at("sample").value));
});
at("previous").addEventListener("click", () => choose((Number(at("sample").value) + network.samples - 1) % network.samples));
at("next").addEventListener("click", () => choose((Number(at("sample").value) + 1) % network.samples));

addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  upload(event.dataTransfer.files[0]);
});

begin();

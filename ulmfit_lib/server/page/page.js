// The page: asks the server, shows what it says, keeps corrections. No library, no request elsewhere.
const $ = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(share > 0.995 && share < 0.9995 ? 1 : 0)} %`;
const corrections = new Map(); // text -> label
let models = [];

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  const token = sessionStorage.getItem("token");
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) {
    const given = prompt("This server asks for a token.");
    if (given) { sessionStorage.setItem("token", given); return ask(path, options); }
  }
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Error(typeof said.detail === "string" ? said.detail : `The server answered ${answer.status}.`);
  }
  return answer;
}

const send = (path, body) => ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }).then((a) => a.json());

function guarded(task) {
  return async (event) => {
    event?.preventDefault();
    $("error").hidden = true;
    const button = event?.submitter;
    if (button) button.disabled = true;
    try { await task(event); } catch (error) { $("error").textContent = error.message; $("error").hidden = false; }
    if (button) button.disabled = false;
  };
}

function bars(place, rows, most = Math.max(...rows.map(([, n]) => n), 1e-9), shown = percent) {
  place.replaceChildren(...rows.map(([name, number]) => {
    const bar = document.createElement("div"), i = document.createElement("i");
    bar.className = "bar";
    i.style.width = `${(100 * number) / most}%`;
    const label = document.createElement("span"), value = document.createElement("span"), track = document.createElement("span");
    label.textContent = name; value.textContent = shown(number); track.append(i);
    bar.append(label, track, value);
    return bar;
  }));
}

// Tabs, by click and by arrow keys
const tabs = [...document.querySelectorAll("[role=tab]")];
function show(tab) {
  for (const one of tabs) {
    const chosen = one === tab;
    one.setAttribute("aria-selected", chosen);
    one.tabIndex = chosen ? 0 : -1;
    $(one.getAttribute("aria-controls")).hidden = !chosen;
  }
  $("error").hidden = true;
}
for (const tab of tabs) {
  tab.addEventListener("click", () => show(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const there = tabs.filter((one) => !one.hidden);
    const next = there[(there.indexOf(tab) + step + there.length) % there.length];
    show(next); next.focus();
  });
}

// A text
const model = () => $("model").value || null;
$("ask").addEventListener("submit", guarded(async () => {
  const text = $("given").value;
  const { predictions: [said] } = await send("predict", { texts: [text], model: model() });
  $("label").textContent = said.label;
  $("sure").textContent = percent(said.confidence);
  bars($("bars"), Object.entries(said.probabilities).sort((a, b) => b[1] - a[1]).slice(0, 8), 1);
  $("right").value = "";
  $("answer").hidden = false;
  $("words").textContent = "…";
  const found = await send("explain", { text, model: model() });
  const strongest = Math.max(...found.words.map((word) => Math.abs(word.contribution)), 1e-9);
  const parts = [], characters = Array.from(text); // the server counts whole characters
  const between = (start, end) => characters.slice(start, end).join("");
  let done = 0;
  for (const word of found.words) {
    parts.push(between(done, word.start));
    const mark = document.createElement("mark"), strength = Math.abs(word.contribution) / strongest;
    mark.textContent = between(word.start, word.end);
    mark.className = word.contribution < 0 ? "against" : "for";
    mark.title = `${word.contribution < 0 ? "against" : "for"}: ${Math.abs(word.contribution).toFixed(2)} in log odds`;
    mark.style.background = `rgb(var(--${mark.className}) / ${(0.55 * strength).toFixed(2)})`;
    if (strength < 0.15) mark.style.textDecoration = "none";
    parts.push(mark);
    done = word.end;
  }
  $("words").replaceChildren(...parts, between(done));
}));
$("correct").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("right").value) keep($("given").value, $("right").value);
});

// Corrections
function keep(text, label) {
  corrections.set(text, label);
  $("kept-count").textContent = `${corrections.size} correction${corrections.size > 1 ? "s" : ""} kept.`;
  $("kept").hidden = false;
}
const cell = (value) => (/[",\n\r]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
$("save").addEventListener("click", () => {
  const lines = ["text,label", ...[...corrections].map(([text, label]) => `${cell(text)},${cell(label)}`)];
  offer(new Blob([lines.join("\r\n") + "\r\n"], { type: "text/csv" }), "corrections.csv");
});
function offer(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
}

// A file
function parse(csv, delimiter = ",") { // rows of cells; quotes as RFC 4180 has them
  const rows = [[]];
  let value = "", quoted = false;
  for (let i = 0; i < csv.length; i++) {
    const c = csv[i];
    if (quoted) { if (c === '"' && csv[i + 1] === '"') { value += c; i++; } else if (c === '"') quoted = false; else value += c; }
    else if (c === '"') quoted = true;
    else if (c === delimiter || c === "\n") { rows.at(-1).push(value); value = ""; if (c === "\n") rows.push([]); }
    else if (c !== "\r") value += c;
  }
  rows.at(-1).push(value);
  return rows.filter((row) => row.length > 1 || row[0] !== "");
}
const WRITTEN = ["sheet", "encoding", "delimiter", "quoting"];
function fields(form, ...names) { // what is filled in
  const found = new FormData();
  for (const [name, value] of new FormData(form)) if (names.includes(name) && value !== "") found.append(name, value);
  return found;
}
function fill(select, names, place = 0) {
  const before = select.value;
  select.replaceChildren(...names.map((name) => new Option(name)));
  select.selectedIndex = names.includes(before) ? names.indexOf(before) : Math.min(place, names.length - 1);
}
async function columns(form) {
  const { file, text, label, sheet } = form.elements;
  if (!file.files.length) return;
  const found = await ask("columns", { method: "POST", body: fields(form, "file", ...WRITTEN) }).then((a) => a.json()).catch((error) => {
    form.querySelector("details").open = true;
    throw error;
  });
  fill(text, found.columns);
  if (label) fill(label, found.columns, 1);
  fill(sheet, found.sheets);
  sheet.parentElement.hidden = found.sheets.length < 2;
}
for (const form of [$("upload"), $("begin")]) {
  form.querySelector(".written").append($("written").content.cloneNode(true));
  for (const name of WRITTEN) form.elements[name].addEventListener("change", guarded(() => columns(form)));
  form.elements.file.addEventListener("change", guarded(async () => {
    form.elements.sheet.replaceChildren();
    for (const name of WRITTEN) form.elements[name].value = ""; // of the file before
    await columns(form);
  }));
}
for (const kind of ["dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) { $("csv").files = event.dataTransfer.files; $("csv").dispatchEvent(new Event("change")); }
  });
}
function listed(place, sentences) {
  place.replaceChildren(...sentences.map((one) => {
    const line = document.createElement("li");
    line.textContent = one;
    return line;
  }));
}
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
$("upload").addEventListener("submit", guarded(async () => {
  const form = fields($("upload"), "file", "text", ...WRITTEN);
  if (model()) form.append("model", model());
  $("job").hidden = false; $("done").hidden = true;
  const { id } = await (await ask("jobs", { method: "POST", body: form })).json();
  let state;
  do {
    await wait(300);
    state = await (await ask(`jobs/${id}`)).json();
    $("told").textContent = `${state.done.toLocaleString("en")} of ${state.rows.toLocaleString("en")} rows`;
    $("progress").max = Math.max(state.rows, 1); $("progress").value = state.done;
    listed($("notes"), state.notes ?? []);
  } while (["waiting", "running"].includes(state.state));
  if (state.state === "failed") throw new Error(state.error);
  if (state.blank) listed($("notes"), [...state.notes, `Rows without a text, and so without a label: ${state.blank.toLocaleString("en")}`]);
  const blob = await (await ask(`jobs/${id}/result`)).blob();
  $("download").href = URL.createObjectURL(blob);
  const [header, ...rows] = parse((await blob.slice(0, 2_000_000).text()).replace(/^\ufeff/, "")).slice(0, 1001);
  const text = header.indexOf(state.column), label = header.indexOf(state.columns.prediction), sure = header.indexOf(state.columns.confidence);
  bars($("counts"), Object.entries(state.labels).sort((a, b) => b[1] - a[1]).slice(0, 12), undefined, (n) => n.toLocaleString("en"));
  const bins = Array.from({ length: 10 }, (_, i) => [`${10 * i} to ${10 * i + 10} %`, 0]);
  for (const row of rows) if (row[sure] !== "") bins[Math.min(9, Math.floor(10 * row[sure]))][1] += 1;
  bars($("confidences"), bins.filter(([, n]) => n), undefined, (n) => n.toLocaleString("en"));
  const classes = (models.find((one) => one.name === model()) ?? models[0]).classes;
  $("rows").tBodies[0].replaceChildren(...rows.slice(0, 20).map((row) => {
    const line = document.createElement("tr"), [a, b, c] = [0, 1, 2].map(() => line.insertCell());
    a.textContent = row[text].length > 300 ? `${row[text].slice(0, 300)}…` : row[text];
    const select = document.createElement("select");
    select.ariaLabel = "label of this row";
    select.append(...(classes.includes(row[label]) ? classes : [row[label], ...classes]).map((name) => new Option(name, name, false, name === row[label])));
    select.addEventListener("change", () => keep(row[text], select.value));
    b.append(select);
    c.textContent = row[sure] === "" ? "" : percent(Number(row[sure]));
    return line;
  }));
  $("done").hidden = false;
}));

// Training
$("kind").addEventListener("change", () => {
  const tags = $("kind").value === "tags";
  $("between").hidden = !tags;
  $("between").querySelector("input").required = tags;
});
$("begin").addEventListener("submit", guarded(async () => {
  const kind = $("kind").value, tags = kind === "tags" ? ["label_delimiter"] : [];
  const form = fields($("begin"), "file", "text", "label", "name", ...tags, ...WRITTEN);
  if (kind === "ratings") form.append("ratings", "true");
  await ask("trainings", { method: "POST", body: form });
  await follow();
}));
$("cancel").addEventListener("click", guarded(async () => { await ask("trainings", { method: "DELETE" }); }));
async function follow() {
  let state;
  do {
    state = await (await ask("trainings")).json();
    $("training").hidden = state.state === "none";
    $("training-state").textContent = { running: `Training ${state.name} …`, done: `${state.name} is ready.`, failed: `Training ${state.name} failed.`, stopped: `Training ${state.name} was stopped.` }[state.state] ?? "";
    $("log").textContent = state.log ?? "";
    $("cancel").hidden = state.state !== "running";
    if (state.state === "running") await wait(1000);
  } while (state.state === "running");
  if (state.state === "done") await load(state.name);
}

// The card
function card() {
  const one = models.find((some) => some.name === model()) ?? models[0];
  $("title").textContent = one ? one.name : "Text classifier";
  document.title = $("title").textContent;
  if (!one) return;
  $("labels").replaceChildren(...one.classes.map((name) => new Option(name)));
  const report = one.report, names = { delivered: "This model", ulmfit: "ULMFiT alone", baseline: "TF-IDF + logistic regression", topics: "Topics alone" };
  $("sentence").textContent = report.sentence ?? "This model has no report: it was not made by `fit`.";
  $("scores").tBodies[0].replaceChildren(...Object.entries(names).filter(([part]) => report[part]?.accuracy !== undefined).map(([part, name]) => {
    const line = document.createElement("tr"), { accuracy, accuracy_95: [low, high], macro_f1: f1 } = report[part];
    for (const said of [name, percent(accuracy), `${percent(low)} to ${percent(high)}`, percent(f1)]) line.insertCell().textContent = said;
    return line;
  }));
  const bins = (report.delivered?.reliability ?? []).filter((bin) => bin.rows);
  $("sure-title").hidden = !bins.length;
  bars($("reliability"), bins.map((bin) => [`says ${percent(bin.confidence)} (${bin.rows} row${bin.rows > 1 ? "s" : ""})`, bin.right]), 1);
  $("curl").textContent = `curl ${new URL("predict", document.baseURI)} -H 'Content-Type: application/json' \\\n  -d '{"texts": ["Loved every minute."], "model": "${one.name}"}'`;
}
async function load(chosen) {
  models = await (await ask("models")).json();
  $("model").replaceChildren(...models.map((one) => new Option(one.name)));
  if (chosen) $("model").value = chosen;
  $("choose").hidden = models.length < 2;
  card();
}
$("model").addEventListener("change", () => { $("answer").hidden = true; card(); });
guarded(async () => {
  await load();
  const training = await fetch("trainings", { headers: sessionStorage.getItem("token") ? { Authorization: `Bearer ${sessionStorage.getItem("token")}` } : {} });
  $("tab-train").hidden = !training.ok;
  if (training.ok) { if (!models.length) show($("tab-train")); follow(); }
})();

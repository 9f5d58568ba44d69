"use strict";
/* Keys, buttons and fields; at the end of it the page starts. */

const stage = new Stage(at("stage"), at("room"), shown, setBox, activate);

const UNFINISHED = ({state}) => ["none", "tracker"].includes(state);
const COMMANDS = [ // label, keys as shown, event.key in lower case, what to do; `far`: with shift
  ["frame", "← →", {
    arrowleft: (far) => go(now.position - (far ? 10 : 1)), arrowright: (far) => go(now.position + (far ? 10 : 1)),
  }],
  ["ends", "Home End", {home: () => go(0), end: () => go(Infinity)}],
  ["key, cut", ", .", {",": () => stepKey(-1), ".": () => stepKey(1)}],
  ["play", "v", {v: play}],
  ["set key", "b", {b: pin}],
  ["remove key", "x", {x: () => back(now.annotation.removeKey(now.video.frames[now.position])), delete: "x"}],
  ["move", "w a s d", {
    w: (far) => nudge([0, -1, 0, -1], far), s: (far) => nudge([0, 1, 0, 1], far),
    a: (far) => nudge([-1, 0, -1, 0], far), d: (far) => nudge([1, 0, 1, 0], far),
  }],
  ["size", "j l i k", {
    j: (far) => nudge([0.5, 0, -0.5, 0], far), l: (far) => nudge([-0.5, 0, 0.5, 0], far),
    k: (far) => nudge([0, 0.5, 0, -0.5], far), i: (far) => nudge([0, -0.5, 0, 0.5], far),
  }],
  ["undo redo", "z y", {z: () => back(now.annotation.undo()), y: () => back(now.annotation.redo())}],
  ["2nd one", "o", {o: () => { now.annotation.other(); draw(); }}],
  ["tracker", "t", {t: track}],
  ["drop track", "c", {c: () => { now.annotation.dropTracks(); changed(); }}],
  ["accept", "g", {g: accept}],
  ["download", "e", {e: download}],
  ["video", "p n", {p: () => stepVideo(-1), n: () => stepVideo(1)}],
  ["unfinished", "u", {u: () => stepVideo(1, UNFINISHED)}],
  ["donor", "m", {m: (far) => stepDonor(far ? -1 : 1)}],
  ["variant", "q", {q: stepVariant}],
  ["sheet", "h", {h: openSheet}],
  ["ratio", "f r", {r: () => setRatio(now.ratio + 0.1), f: () => setRatio(now.ratio - 0.1)}],
];
const KEYS = Object.assign({}, ...COMMANDS.map(([, , keys]) => keys));
const WITHOUT_VIDEO = ["n", "p", "u", "m", "r", "f"];

function run(key, far) {
  const command = typeof KEYS[key] === "string" ? KEYS[KEYS[key]] : KEYS[key];
  if (!command || (!now.video && !WITHOUT_VIDEO.includes(key))) return false;
  command(far);
  return true;
}

function showCommands() {
  at("commands").replaceChildren(...COMMANDS.map(([label, keys, actions]) => {
    const button = document.createElement("button"), shortcut = document.createElement("kbd");
    shortcut.textContent = keys;
    button.append(label, shortcut);
    const names = Object.keys(actions);
    button.onclick = (event) => run(names[names.length > 1 && names[1] !== "delete" ? 1 : 0], event.shiftKey);
    button.hidden = (label === "tracker" && !backend.tracks) || (label === "sheet" && !now.overview.sheets.length)
      || (label === "variant" && now.overview.variants.length < 2);
    return button;
  }));
}

document.addEventListener("keydown", (event) => {
  const key = event.key.toLowerCase(), sliding = event.target.id === "ratio" && /^(arrow|home|end)/.test(key);
  if (key === "escape") at("stage").focus();
  if (sliding || event.target.matches("input[type=search], select")) return;
  if (event.altKey || event.metaKey || !at("conflict").hidden) return;
  if (event.ctrlKey && !["z", "y"].includes(key)) return;
  if (key === "/") at("filter").focus();
  else if (!run(event.ctrlKey && event.shiftKey && key === "z" ? "y" : key, event.shiftKey)) return;
  event.preventDefault();
});
at("filter").oninput = filterList;
at("filter").onkeydown = (event) => {
  if (event.key === "Escape") {
    at("filter").value = "";
    filterList();
  }
  const first = [...at("list").children].find((row) => !row.hidden);
  if (event.key !== "Enter" || !first) return;
  openVideo(first.dataset.id);
  at("stage").focus();
};
at("unfinished").onchange = filterList;
at("scrubber").oninput = () => go(Number(at("scrubber").value));
at("donor").onchange = () => chooseDonor(at("donor").value);
at("variant").onchange = () => setVariant(at("variant").value);
at("ratio").oninput = () => setRatio(Number(at("ratio").value));
at("marks").onpointerdown = at("marks").onpointermove = (event) => {
  if (!event.buttons || !now.video) return;
  const {left, width} = at("marks").getBoundingClientRect();
  go(Math.round((event.clientX - left - 8) / (width - 16) * (now.video.frames.length - 1)));
};
window.addEventListener("beforeunload", (event) => {
  if (now.dirty) event.preventDefault();
});
window.addEventListener("resize", draw);
window.addEventListener("hashchange", openAddressed);

async function start() {
  try {
    now.overview = await backend.list();
  } catch (error) {
    say(error.message, true);
    return;
  }
  now.ratio = now.overview.ratio;
  at("variant").replaceChildren(...now.overview.variants.map((name) => new Option(name, name)));
  at("variants").hidden = now.overview.variants.length < 2;
  showCommands();
  fillList();
  if (!await openAddressed()) await openVideo((now.overview.videos.find(UNFINISHED) || now.overview.videos[0]).id);
  at("stage").focus();
  document.body.dataset.ready = "yes";
}
start();

// The board: everything that is shown comes from the JSON in the page; nothing is fetched.
const DataTable = window.merbenchTables.default;
const DATA = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const SHOWN = 40; // rows of a picture or matrix; the table has them all

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

const escaped = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const number = (value, digits = 3) => (value == null ? "–" : value.toFixed(digits).replace(/^(-?)0\./, "$1.").replace("-", "−"));
const interval = (low, high) => (low == null ? "" : `[${number(low)}, ${number(high)}]`);
const signed = (value) => (value == null ? "–" : (value > 0 ? "+" : "") + number(value));
const short = (value) => (value == null ? "–" : value >= 1e6 ? `${(value / 1e6).toPrecision(3)} M` : value >= 1e3 ? `${(value / 1e3).toPrecision(3)} k` : String(value));
const digits = (value) => (value == null ? "–" : String(Number(value.toPrecision(3))));
const probability = (p) => (p < 0.001 ? "p < .001" : `p = ${number(p)}`);

let board, part, table;
Bokeh.set_log_level("warn");

/* ---------- what is chosen ---------- */

function choose(select, options, wanted) {
  select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
  select.value = options.some(([value]) => String(value) === String(wanted)) ? wanted : options[0][0];
}

function rowsOf(which = part) {
  return DATA.rows.filter((row) => row.board === board && row.part === which);
}

function shownRows() {
  const rows = rowsOf();
  return byId("ranked").checked ? rows.filter((row) => row.rank !== null) : rows;
}

function remember() {
  const state = new URLSearchParams({ benchmark: DATA.boards[board].title, part });
  try { history.replaceState(null, "", `#${state}`); } catch { /* a page inside another has no address of its own */ }
}

function chooseBoard(wanted, wantedPart) {
  board = Number(wanted);
  choose(byId("part"), DATA.boards[board].parts.map((name) => [name, name]), wantedPart);
  choosePart(byId("part").value);
}

function choosePart(wanted) {
  part = wanted;
  remember();
  showAll();
}

function showAll() {
  showAnswer();
  showTable();
  showIntervals();
  showPairs();
  showClasses();
  showPeople();
  showClaims();
  showShifts();
  showNotes();
}

/* ---------- which model is best ---------- */

function pairsHere() {
  return DATA.pairs.filter((pair) => pair.board === board && pair.part === part);
}

function told(best, rows) {
  const words = rows.map((row) => (row.selection === best.selection ? row.label : `${row.label} · ${row.selection}`));
  return words.slice(0, 8).join(", ") + (words.length > 8 ? ` and ${words.length - 8} more` : "");
}

function showAnswer() {
  const ranked = rowsOf().filter((row) => row.rank !== null).sort((a, b) => a.rank - b.rank || b.uf1 - a.uf1);
  const box = byId("answer");
  if (!ranked.length) {
    box.replaceChildren(make("p", {}, "No complete study may be ranked here yet."));
    return;
  }
  const best = ranked[0], name = scoreNames()[0];
  const lines = [make("p", { class: "first" }, `Highest ${name}: `, make("strong", {}, best.label), " ",
    make("span", { class: "number" }, `${number(best.uf1, 4)} ${interval(best.uf1_low, best.uf1_high)}`))];
  const of = ranked.length === 1 ? "It is the only ranked model" : `Of ${ranked.length} ranked rows`;
  lines.push(make("p", { class: "quiet" }, `${of}, on ${best.n} clips of ${best.people} people; selection ${best.selection}, seeds ${best.seeds}. The interval covers other people (95 %).`));
  const tied = ranked.filter((row) => row !== best && row.rank === 1), apart = ranked.filter((row) => row.rank > 1);
  if (tied.length) lines.push(make("p", {}, "Cannot be told from it: ", told(best, tied), "."));
  if (apart.length) lines.push(make("p", {}, "Better than: ", told(best, apart), "."));
  lines.push(make("p", {}, make("button", { onclick: () => openStudy(best) }, "How this number was made")));
  box.replaceChildren(...lines);
}

const scoreNames = () => (DATA.boards[board].multilabel ? ["F1", "recall"] : ["UF1", "UAR"]);

/* ---------- the leaderboard ---------- */

function scale(rows) {
  const ends = rows.flatMap((row) => ["uf1", "uar", "strs"].flatMap((name) => [row[`${name}_low`] ?? row[name], row[`${name}_high`] ?? row[name]]));
  const known = ends.filter((value) => value != null);
  const low = Math.floor(10 * Math.min(...known, 1)) / 10, high = Math.ceil(10 * Math.max(...known, 0)) / 10;
  return { low, high: Math.max(high, low + 0.1) };
}

function scoreCell(value, low, high, range) {
  if (value == null) return "–";
  const at = (x) => (100 * (x - range.low)) / (range.high - range.low);
  const line = low == null ? "" : `<i style="left:${at(low)}%;width:${at(high) - at(low)}%"></i>`;
  return `<span class="score"><span class="bar" aria-hidden="true">${line}<b style="left:${at(value)}%"></b></span>` +
    `<span class="number">${number(value, 4)}<br><span class="interval">${interval(low, high)}</span></span></span>`;
}

function columnsOf(range) {
  const [f1, recall] = scoreNames();
  const known = (value) => rowsOf().some((row) => value(row) != null && value(row) !== "");
  const figure = (title, value, options = {}) => ({
    title, data: null, className: "dt-right wide", ...options,
    render: (row, kind) => (kind === "display" ? escaped(options.text ? options.text(value(row)) : value(row) ?? "–") : value(row) ?? -Infinity),
  });
  const words = (title, value, className) => ({ title, data: null, className, render: (row, kind) => (kind === "display" ? escaped(value(row)) : value(row)) });
  return [
    { title: "#", data: null, className: "dt-right", render: (row, kind) => (kind === "sort" || kind === "type" ? row.rank ?? 1e9 : escaped(row.rankText)) },
    { title: "model", data: null, className: "dt-left", render: (row, kind) => (kind === "display" ? modelCell(row) : row.label) },
    { title: f1, data: null, className: "dt-right", render: (row, kind) => (kind === "display" ? scoreCell(row.uf1, row.uf1_low, row.uf1_high, range) : row.uf1 ?? -1) },
    { title: recall, data: null, className: "dt-right middle", render: (row, kind) => (kind === "display" ? scoreCell(row.uar, row.uar_low, row.uar_high, range) : row.uar ?? -1) },
    figure("acc", (row) => row.acc, { text: (value) => number(value), className: "dt-right middle" }),
    known((row) => row.strs) && { title: "STRS", data: null, className: "dt-right", render: (row, kind) => (kind === "display" ? scoreCell(row.strs, row.strs_low, row.strs_high, range) : row.strs ?? -1) },
    ...[["spot F1", "spotF1"], ["spot P", "spotP"], ["spot R", "spotR"]].map(([title, key]) => known((row) => row[key]) && figure(title, (row) => row[key], { text: (value) => number(value), className: "dt-right middle" })),
    words("selection", (row) => row.selection + (row.stamp ? "*" : ""), "dt-left middle"),
    words("seeds", (row) => row.seeds, "dt-left wide"),
    known((row) => row.gap) && figure("optimism gap", (row) => row.gap, { text: signed }),
    known((row) => row.seconds) && figure("s / fold", (row) => row.seconds, { text: digits }),
    known((row) => row.epochs) && figure("epochs", (row) => row.epochs),
    known((row) => row.parameters) && figure("parameters", (row) => row.parameters, { text: short }),
    known((row) => row.gflops) && figure("GFLOPs", (row) => row.gflops, { text: digits }),
    known((row) => row.device) && words("device", (row) => row.device || "–", "dt-left wide"),
    words("folds", (row) => row.folds, "dt-right middle"),
  ].filter(Boolean);
}

function modelCell(row) {
  const tags = [row.superseded ? "superseded" : "", row.weights ? "external" : "", row.stamp && row.rank === null && row.uf1 != null ? "not ranked" : ""];
  return `<button class="open" data-row="${row.id}">${escaped(row.label)}</button>` +
    tags.filter(Boolean).map((tag) => ` <span class="tag" title="${escaped(row.stamp)}">${tag}</span>`).join("");
}

function showTable() {
  const rows = shownRows(), range = scale(rows);
  const words = table ? table.search() : "";
  if (table) { table.destroy(); byId("table").replaceChildren(); }
  table = new DataTable("#table", {
    data: rows, columns: columnsOf(range), order: [], pageLength: 25, lengthMenu: [10, 25, 100, { label: "all", value: -1 }],
    paging: rows.length > 10, deferRender: true, autoWidth: false, search: { search: words },
    language: { search: "Filter (model, selection):", emptyTable: "No study here." },
    createdRow: (tr, row) => {
      if (row.rank === 1) tr.classList.add("best");
      if (row.rank === null) tr.classList.add("apart");
    },
  });
  const first = rowsOf()[0];
  const facts = first ? `${first.n} clips, ${first.people} people (${first.classes}). The bars run from ${number(range.low, 1)} to ${number(range.high, 1)}. ` : "";
  const stamps = [...new Set(rows.filter((row) => row.stamp).map((row) => `* ${row.selection}: ${row.stamp}.`))].join(" ");
  byId("facts").textContent = `${facts}Optimism gap: how much higher UF1 is where the epoch was chosen on the test person. ${stamps}`;
}

byId("table").addEventListener("click", (event) => {
  const button = event.target.closest("button.open");
  if (button) openStudy(DATA.rows.find((row) => row.id === Number(button.dataset.row)));
});

/* ---------- pictures ---------- */

function colour(name) {
  const probe = make("span", { style: `color: var(--${name})` });
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function figureOf(options) {
  const plot = Bokeh.Plotting.figure({ sizing_mode: "stretch_width", tools: "pan,wheel_zoom,box_zoom,reset,save,hover", toolbar_location: "above",
    background_fill_color: colour("ground"), border_fill_color: colour("ground"), outline_line_color: colour("line"), ...options });
  plot.toolbar.active_scroll = null;
  plot.toolbar.logo = null;
  for (const axis of [plot.xaxis, plot.yaxis].flat()) {
    axis.major_label_text_color = axis.axis_label_text_color = colour("ink");
    axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = colour("line");
  }
  for (const grid of [plot.xgrid, plot.ygrid].flat()) grid.grid_line_color = colour("line");
  return plot;
}

async function draw(plot, target) {
  target.replaceChildren();
  await Bokeh.Plotting.show(plot, target);
}

function named(rows, most = Infinity) {
  // Axis labels must differ: two selections of one model stand on one board.
  const cut = (label) => (label.length > most ? `${label.slice(0, most - 1)}…` : label);
  const names = rows.map((row) => `${cut(row.label)} · ${row.selection}`);
  return names.map((name, place) => (names.indexOf(name) < place ? `${name} (${place + 1})` : name));
}

function showIntervals() {
  const rows = rowsOf().filter((row) => row.uf1 != null).slice(0, SHOWN);
  byId("intervals-section").hidden = !rows.length;
  if (!rows.length) return;
  const names = named(rows, innerWidth < 600 ? 14 : 48), [f1] = scoreNames();
  const source = new Bokeh.ColumnDataSource({ data: {
    name: names, label: named(rows), uf1: rows.map((row) => row.uf1), low: rows.map((row) => row.uf1_low ?? row.uf1), high: rows.map((row) => row.uf1_high ?? row.uf1),
    colour: rows.map((row) => colour(row.rank === 1 ? "good" : row.rank === null ? "bad" : "quiet")),
  } });
  const plot = figureOf({ height: 70 + 24 * rows.length, y_range: new Bokeh.FactorRange({ factors: [...names].reverse() }), x_axis_label: f1 });
  plot.segment({ field: "low" }, { field: "name" }, { field: "high" }, { field: "name" }, { source, line_width: 3, line_alpha: 0.55, line_color: { field: "colour" } });
  plot.scatter({ field: "uf1" }, { field: "name" }, { source, size: 9, fill_color: { field: "colour" }, line_color: { field: "colour" } });
  for (const hover of plot.toolbar.tools.filter((tool) => tool.type === "HoverTool")) hover.tooltips = [["", "@label"], [f1, "@uf1{0.0000} [@low{0.000}, @high{0.000}]"]];
  draw(plot, byId("intervals"));
  const more = rowsOf().filter((row) => row.uf1 != null).length - rows.length;
  byId("intervals-words").textContent = `${f1} and 95 % intervals over people. Blue: the best rank; orange: not ranked.${more > 0 ? ` ${more} more rows are in the table.` : ""}`;
}

function heat(share, text, words, className = "heat") {
  const strength = share == null || Number.isNaN(share) ? 0 : Math.round(75 * share);
  return make("td", { class: className, style: `background: color-mix(in srgb, var(--good) ${strength}%, var(--ground))`, title: words, "aria-label": words }, text);
}

function showClasses() {
  const rows = rowsOf().filter((row) => row.f1).slice(0, SHOWN);
  byId("classes-section").hidden = !rows.length;
  if (!rows.length) return;
  const names = DATA.boards[board].classes, labels = named(rows);
  const head = make("tr", {}, make("th", { scope: "col" }, "model"), ...names.map((name) => make("th", { scope: "col" }, name)));
  const body = rows.map((row, place) => make("tr", {}, make("th", { scope: "row" }, labels[place]),
    ...row.f1.map((value, k) => heat(value, number(value), `${labels[place]}, ${names[k]}: F1 ${number(value)}`))));
  byId("classes").replaceChildren(make("table", { class: "plain models" }, make("thead", {}, head), make("tbody", {}, ...body)));
}

function peopleOf(row) {
  const study = DATA.studies[row.study];
  if (!study || !study.right) return null;
  return new Map(DATA.people[study.people].map((name, k) => [name, study.right[k]]));
}

function showPeople() {
  const rows = rowsOf().filter((row) => row.uf1 != null && peopleOf(row)).slice(0, SHOWN);
  byId("people-section").hidden = !rows.length;
  if (!rows.length) return;
  const shares = rows.map(peopleOf), parts = DATA.boards[board].unions[part] ?? [part];
  const here = (name) => part === "full" || part === "average" || parts.some((dataset) => name.startsWith(`${dataset}/`));
  const everybody = [...new Set(shares.flatMap((map) => [...map.keys()]))].filter(here);
  const mean = (name) => shares.reduce((sum, map) => sum + (map.get(name) ?? 0), 0);
  const people = everybody.sort((a, b) => mean(a) - mean(b)), labels = named(rows);
  const head = make("tr", {}, make("td"), ...people.map((name) => make("th", { scope: "col" }, name)));
  const body = rows.map((row, place) => make("tr", {}, make("th", { scope: "row", title: labels[place] }, labels[place]), ...people.map((name) => {
    const share = shares[place].get(name);
    return heat(share, "", share == null ? `${name}: not tested` : `${labels[place]}, ${name}: ${Math.round(100 * share)} % right`);
  })));
  byId("people").replaceChildren(make("table", { class: "plain people models" }, make("thead", {}, head), make("tbody", {}, ...body)));
}

/* ---------- pairs, claims, notes ---------- */

function showPairs() {
  const pairs = pairsHere();
  byId("pairs-section").hidden = !pairs.length;
  if (!pairs.length) return;
  const tables = [...new Set(pairs.map((pair) => pair.group))].map((group) => pairTable(pairs.filter((pair) => pair.group === group)));
  byId("pairs").replaceChildren(...tables);
}

function pairTable(pairs) {
  const all = [...new Set(pairs.flatMap((pair) => [pair.first, pair.second]))], names = all.slice(0, SHOWN);
  const of = new Map();
  for (const pair of pairs) {
    of.set(`${pair.first}\n${pair.second}`, { ...pair, sign: 1 });
    of.set(`${pair.second}\n${pair.first}`, { ...pair, sign: -1 });
  }
  const most = Math.max(...pairs.map((pair) => Math.abs(pair.difference)), 0.01);
  const cell = (one, other) => {
    const pair = of.get(`${one}\n${other}`);
    if (!pair) return make("td", {}, one === other ? "" : "–");
    const value = pair.sign * pair.difference, ends = pair.sign > 0 ? [pair.low, pair.high] : [pair.high, pair.low].map((end) => (end == null ? null : -end));
    const words = `${one} less ${other}: ${signed(value)} ${interval(...ends)}, ${probability(pair.p)}`;
    const strength = Math.round(60 * Math.min(1, Math.abs(value) / most) * (pair.p < 0.05 ? 1 : 0.35));
    return make("td", { class: pair.p < 0.05 ? "heat strong" : "heat", title: words, "aria-label": words,
      style: `background: color-mix(in srgb, var(--${value >= 0 ? "good" : "bad"}) ${strength}%, var(--ground))` }, signed(value));
  };
  const head = make("tr", {}, make("td", {}, `selection ${pairs[0].selection}`), ...names.map((name) => make("th", { scope: "col" }, name)));
  const body = names.map((one) => make("tr", {}, make("th", { scope: "row" }, one), ...names.map((other) => cell(one, other))));
  return make("table", { class: "plain pairs models" }, make("thead", {}, head), make("tbody", {}, ...body));
}

function showClaims() {
  const claims = DATA.claims.filter((claim) => claim.board === board && claim.part === part);
  byId("claims-section").hidden = !claims.length;
  if (!claims.length) return;
  const head = ["model", ...DATA.claimHeaders, "source"];
  const cells = (claim) => [claim.model, ...claim.cells, claim.source];
  const text = (k) => (["score", "its selection", "printed lies", "model", "source"].includes(head[k]) ? { class: "text" } : {});
  const body = claims.map((claim) => make("tr", {}, ...cells(claim).map((cell, k) => make("td", text(k), cell))));
  byId("claims").replaceChildren(make("table", { class: "plain" }, make("thead", {}, make("tr", {}, ...head.map((name) => make("th", { scope: "col" }, name)))), make("tbody", {}, ...body)));
}

function showShifts() {
  const of = DATA.shifts.filter((one) => one.board === board), shifts = of.filter((one) => one.part === part);
  byId("shifts-section").hidden = !shifts.length;
  if (!shifts.length) return;
  const text = (k) => (k < 2 ? { class: "text" } : {}), left = (cells) => cells.filter((_, k) => k !== 2); // the part is chosen above
  const head = make("tr", {}, ...left(shifts[0].headers).map((name) => make("th", { scope: "col" }, name)));
  const body = shifts.map((one) => make("tr", {}, ...left(one.cells).map((cell, k) => make("td", text(k), cell))));
  byId("shifts").replaceChildren(make("table", { class: "plain" }, make("thead", {}, head), make("tbody", {}, ...body)));
  byId("shift-notes").replaceChildren(...[...new Set(of.flatMap((one) => one.notes))].map((note) => make("li", {}, note)));
}

function showNotes() {
  const own = rowsOf().flatMap((row) => row.notes.map((note) => `${row.label}, ${row.selection}: ${note}.`));
  byId("notes-section").hidden = !own.length && !DATA.notes.length;
  byId("notes").replaceChildren(...[...new Set([...own, ...DATA.notes])].map((note) => make("li", {}, note)));
}

/* ---------- one study ---------- */

function matrixOf(study) {
  const counts = study.counts[part] ?? study.counts.full;
  if (!counts) return null;
  const names = DATA.boards[board].classes;
  if (DATA.boards[board].multilabel) {
    const head = ["class", "hit", "missed", "false alarm", "rightly none"];
    const body = counts.map((m, k) => make("tr", {}, make("th", { scope: "row" }, names[k]), ...[m[1][1], m[1][0], m[0][1], m[0][0]].map((n) => make("td", {}, n))));
    return make("table", { class: "plain" }, make("thead", {}, make("tr", {}, ...head.map((name) => make("th", { scope: "col" }, name)))), make("tbody", {}, ...body));
  }
  const head = make("tr", {}, make("th", { scope: "col" }, "true / predicted"), ...names.map((name) => make("th", { scope: "col" }, name)));
  const body = counts.map((line, k) => {
    const total = line.reduce((sum, n) => sum + n, 0);
    return make("tr", {}, make("th", { scope: "row" }, names[k]), ...line.map((n, j) => heat(total ? n / total : 0, String(n), `${names[k]} answered as ${names[j]}: ${n} of ${total}`)));
  });
  return make("table", { class: "plain" }, make("thead", {}, head), make("tbody", {}, ...body));
}

function facts(pairs) {
  return make("dl", { class: "facts" }, ...pairs.filter(([, value]) => value).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function partTable(row) {
  const rows = DATA.rows.filter((other) => other.study === row.study), [f1, recall] = scoreNames();
  const head = ["part", "clips", "people", f1, "95 %", recall, "95 %", "accuracy"];
  const cells = (one) => [one.part, one.n, one.people, number(one.uf1, 4), interval(one.uf1_low, one.uf1_high) || "–", number(one.uar, 4), interval(one.uar_low, one.uar_high) || "–", number(one.acc)];
  return make("table", { class: "plain" }, make("thead", {}, make("tr", {}, ...head.map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...rows.map((one) => make("tr", {}, ...cells(one).map((text) => make("td", {}, String(text)))))));
}

function personTable(study) {
  const people = DATA.people[study.people].map((name, k) => [name, study.right[k]]).sort((one, other) => one[1] - other[1]);
  const head = make("tr", {}, make("td"), ...people.map(([name]) => make("th", { scope: "col" }, name)));
  const body = make("tr", {}, make("th", { scope: "row" }, "% right"), ...people.map(([name, share]) => heat(share, String(Math.round(100 * share)), `${name}: ${Math.round(100 * share)} % right`)));
  return make("table", { class: "plain people" }, make("thead", {}, head), make("tbody", {}, body));
}

async function drawCurves(study, target) {
  const names = Object.keys(study.curves), colours = ["mark", "bad", "quiet", "ink"];
  for (const [k, name] of names.entries()) {
    const { epochs } = study.curves[name];
    const [mean, low, high] = ["mean", "low", "high"].map((key) => study.curves[name][key].map((value) => value ?? NaN));
    const plot = figureOf({ height: 240, x_axis_label: "epoch", y_axis_label: name.replaceAll("_", " "), tools: "pan,box_zoom,reset,save,hover" });
    const line = new Bokeh.ColumnDataSource({ data: { epochs, mean, low, high } }), paint = colour(colours[k % colours.length]);
    plot.varea({ field: "epochs" }, { field: "low" }, { field: "high" }, { source: line, fill_color: paint, fill_alpha: 0.2 });
    plot.line({ field: "epochs" }, { field: "mean" }, { source: line, line_color: paint, line_width: 2 });
    for (const hover of plot.toolbar.tools.filter((tool) => tool.type === "HoverTool")) hover.tooltips = [["epoch", "@epochs"], [name, "@mean{0.000} (@low{0.000} to @high{0.000})"]];
    const place = make("div");
    target.append(place);
    await draw(plot, place);
  }
}

function openStudy(row) {
  const study = DATA.studies[row.study], body = byId("study-body"), where = DATA.boards[board].title;
  byId("study-title").textContent = `${row.label} · ${row.selection}`;
  const opening = [make("p", { class: "quiet" }, `${where} · ${row.folds} folds · seeds ${row.seeds}`)];
  if (row.stamp) opening.push(make("p", { class: "warning" }, `${row.selection}: ${row.stamp}`));
  opening.push(make("div", { class: "scroll" }, partTable(row)));
  const rest = [];
  if (!study || !study.counts) rest.push(make("p", {}, study?.why ?? "No score before all folds are done."));
  else {
    const seeds = row.n_seeds > 1 ? `, the sum of ${row.n_seeds} seeds` : "";
    rest.push(make("h3", {}, `${DATA.boards[board].multilabel ? "Answers" : "Confusion matrix"} (${study.counts[part] ? part : "full"}${seeds})`),
      make("div", { class: "scroll" }, matrixOf(study)),
      make("h3", {}, "Right answers of each person"), make("div", { class: "scroll" }, personTable(study)));
  }
  const curves = make("div", { class: "curves" });
  if (study?.curves && Object.keys(study.curves).length)
    rest.push(make("h3", {}, "Training curves"), make("p", { class: "quiet" }, "Mean over the folds; the band holds the middle 80 %."), curves);
  rest.push(make("h3", {}, "How this number was made"), facts(study?.facts ?? []),
    make("ul", {}, ...row.notes.map((note) => make("li", {}, note))),
    make("p", {}, make("code", {}, `merbench report ${row.keys[0]} --results ${DATA.root}`)));
  body.replaceChildren(...opening, ...rest);
  byId("study").showModal();
  byId("study").scrollTop = 0;
  if (curves.isConnected) drawCurves(study, curves);
}

/* ---------- colours and print ---------- */

function effectiveDark() {
  const wanted = document.documentElement.dataset.theme;
  return wanted ? wanted === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function repaint() {
  document.documentElement.classList.toggle("dark", effectiveDark());
  if (board !== undefined) showIntervals();
}

byId("theme").addEventListener("change", (event) => {
  if (event.target.value) document.documentElement.dataset.theme = event.target.value;
  else delete document.documentElement.dataset.theme;
  repaint();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
let themeBefore, lengthBefore;
addEventListener("beforeprint", () => {
  themeBefore = document.documentElement.dataset.theme;
  lengthBefore = table?.page.len();
  document.documentElement.dataset.theme = "light";
  table?.page.len(-1).draw();
  repaint();
});
addEventListener("afterprint", () => {
  if (themeBefore) document.documentElement.dataset.theme = themeBefore;
  else delete document.documentElement.dataset.theme;
  table?.page.len(lengthBefore).draw();
  repaint();
});

/* ---------- begin ---------- */

byId("board").addEventListener("change", (event) => chooseBoard(event.target.value));
byId("part").addEventListener("change", (event) => choosePart(event.target.value));
byId("ranked").addEventListener("change", showTable);
document.documentElement.classList.toggle("dark", effectiveDark());
if (DATA.boards.length) {
  const asked = new URLSearchParams(location.hash.slice(1));
  const found = DATA.boards.findIndex((one) => one.title === asked.get("benchmark"));
  choose(byId("board"), DATA.boards.map((one, place) => [place, one.title]), Math.max(found, 0));
  chooseBoard(byId("board").value, asked.get("part"));
} else byId("answer").textContent = "No study is in the store yet: run `merbench run`.";
performance.mark("board ready");
document.documentElement.dataset.ready = "yes";

// Sorts, filters and copies the one table of a page; the whole view is in the address.
// On pages of figures it lights up the series that is pointed at in a legend.
"use strict";
(() => {
  for (const figure of document.querySelectorAll("figure.curves")) {
    const mark = (series) => {
      figure.classList.toggle("marking", series !== null);
      for (const part of figure.querySelectorAll("[data-series]")) {
        part.classList.toggle("marked", part.dataset.series === series);
      }
    };
    for (const entry of figure.querySelectorAll("li[data-series]")) {
      if (!entry.querySelector("input")) entry.tabIndex = 0;
      for (const event of ["mouseenter", "focusin"]) {
        entry.addEventListener(event, () => mark(entry.dataset.series));
      }
      for (const event of ["mouseleave", "focusout"]) entry.addEventListener(event, () => mark(null));
    }
  }

  // The series that are chosen are in the address: shown and hidden ones that differ from the page's own.
  const boxes = [...document.querySelectorAll("[data-choose]")];
  if (boxes.length) {
    const asked = new URLSearchParams(location.search).get("series");
    const chosen = asked === null ? null : new Set(asked.split(","));
    const draw = () => {
      for (const box of boxes) {
        const series = document.querySelector(`g[data-series="${box.dataset.choose}"].series`);
        series.toggleAttribute("hidden", !box.checked);
      }
    };
    for (const box of boxes) {
      if (chosen) box.checked = chosen.has(box.dataset.choose);
      box.addEventListener("change", () => {
        draw();
        const listed = boxes.filter((one) => one.checked).map((one) => one.dataset.choose);
        history.replaceState(null, "", `?${new URLSearchParams({series: listed.join(",")})}`);
      });
    }
    draw();
  }

  const table = document.querySelector("table[data-view]");
  const form = document.getElementById("view");
  if (!table || !form) return;
  const headers = [...table.tHead.rows[0].cells];
  const keys = headers.map((header) => header.dataset.key);
  const bodies = [...table.querySelectorAll("tbody[data-sortable]")];
  const rows = bodies.flatMap((body) => [...body.rows]);
  const fields = ["q", "recipe", "track", "metric"].filter((name) => form.elements[name]);
  const shown = document.getElementById("shown");
  const dialog = document.getElementById("copied");
  const hiding = document.head.appendChild(document.createElement("style")).sheet;
  const empty = {q: "", recipe: "", track: "", metric: "", sort: "", order: "", hide: ""};
  let view = {...empty};

  function read() {
    const asked = new URLSearchParams(location.search);
    view = {...empty};
    for (const key of Object.keys(empty)) view[key] = asked.get(key) ?? "";
    for (const name of fields) {
      const {options} = form.elements[name];
      if (options && ![...options].some((option) => option.value === view[name])) view[name] = "";
    }
    if (!keys.includes(view.sort)) view.sort = "";
    if (!["ascending", "descending"].includes(view.order)) view.order = "";
    view.hide = view.hide.split(",").filter((key) => keys.includes(key)).join(",");
  }

  function write() {
    const set = Object.entries(view).filter(([, value]) => value !== "");
    const query = set.length ? `?${new URLSearchParams(set)}` : "";
    history.replaceState(null, "", query || location.pathname);
    for (const link of document.querySelectorAll("a[data-keep]")) {
      link.href = link.getAttribute("href").split("?")[0] + query;
    }
  }

  const places = new Map(rows.map((row, place) => [row, place]));
  const names = new Map(rows.map((row) => {
    const {recipe, track} = row.dataset;
    return [row, `${row.querySelector(".method").textContent} ${recipe} ${track}`.toLowerCase()];
  }));

  function seen(cell) {
    const name = view.metric === "normalised" ? ".z" : ".a";
    return cell.querySelector(name) ?? cell;
  }

  function value(row, column) {
    // A row that failed has one cell where others have many.
    const cell = row.cells.length === headers.length ? row.cells[column] : null;
    if (!cell && column > 1) return "";
    const found = cell ?? row.cells[column];
    const text = found.dataset.v ?? seen(found).textContent.trim().replaceAll("−", "-").replaceAll(",", "");
    const number = parseFloat(text);
    return Number.isNaN(number) || found.tagName === "TH" ? text : number;
  }

  const {compare: alphabetical} = new Intl.Collator("en");

  function compare(a, b) {
    return typeof a === "number" && typeof b === "number" ? a - b : alphabetical(String(a), String(b));
  }

  function sort() {
    const column = keys.indexOf(view.sort);
    const order = view.order || headers[column]?.dataset.first;
    headers.forEach((header, place) => {
      if (place === column) header.setAttribute("aria-sort", order);
      else header.removeAttribute("aria-sort");
    });
    moves = bodies.flatMap((body) => {
      const sorted = [...body.rows].map((row) => [column < 0 ? 0 : value(row, column), places.get(row), row]);
      sorted.sort(([a, placeA], [b, placeB]) => {
        const last = (a === "") - (b === "");
        return last || (order === "descending" ? compare(b, a) : compare(a, b)) || placeA - placeB;
      });
      return sorted.map(([, , row], place) => [body, row, place]);
    });
    move();
  }

  // A browser takes long to lay out hundreds of rows anew: those on top first, the rest by and by.
  const AT_ONCE = 40;
  let moves = [];

  function move(n = AT_ONCE) {
    for (const [body, row, place] of moves.splice(0, n)) {
      if (body.rows[place] !== row) body.insertBefore(row, body.rows[place]);
    }
    if (moves.length) requestAnimationFrame(() => move());
  }

  function filter() {
    const words = view.q.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const reference = row.parentElement.classList.contains("references");
      const text = names.get(row);
      row.hidden =
        !words.every((word) => text.includes(word)) ||
        (view.recipe !== "" && row.dataset.recipe !== view.recipe) ||
        (view.track !== "" && row.dataset.track !== view.track && !reference);
      if (!row.hidden) count += 1;
    }
    for (const heading of table.querySelectorAll("tbody.heading")) {
      heading.hidden = [...heading.nextElementSibling.rows].every((row) => row.hidden);
    }
    document.querySelector(".nothing").hidden = count > 0;
    shown.textContent = `${count} of ${rows.length} rows`;
  }

  function hide() {
    const hidden = new Set(view.hide.split(","));
    while (hiding.cssRules.length) hiding.deleteRule(0);
    keys.forEach((key, place) => {
      if (!hidden.has(key)) return;
      hiding.insertRule(`table[data-view] > :is(thead, tbody:not(.heading)) > tr > :nth-child(${place + 1}):not(.reason) { display: none }`);
    });
    for (const box of document.querySelectorAll("#columns input")) box.checked = !hidden.has(box.value);
  }

  let drawn = {};

  // What did not change is left alone: 500 rows are many to style and to lay out again.
  function apply() {
    const changed = (...wanted) => wanted.some((key) => view[key] !== drawn[key]);
    for (const name of fields) {
      if (form.elements[name].value !== view[name]) form.elements[name].value = view[name];
    }
    if (changed("metric")) table.dataset.metric = view.metric;
    if (changed("q", "recipe", "track")) filter();
    if (changed("sort", "order", "metric")) sort();
    if (changed("hide")) hide();
    write();
    drawn = {...view};
  }

  function change(changes) {
    Object.assign(view, changes);
    apply();
  }

  // Copying: what is seen, in the order in which it is seen.

  const formula = /^[=+\-@\t\r\n]/;
  const writers = {
    csv: (cells) => cells.map((cell) => `"${(formula.test(cell) && !/^[+-]?[\d.]+$/.test(cell) ? `'${cell}` : cell).replaceAll('"', '""')}"`).join(","),
    latex: (cells) => `${cells.map((cell) => cell.replace(/[\\{}$&#^_%~]/g, (sign) => ({"\\": "\\textbackslash{}", "^": "\\^{}", "~": "\\~{}"})[sign] ?? `\\${sign}`)).join(" & ")} \\\\`,
    markdown: (cells) => `| ${cells.map((cell) => cell.replace(/[\\|`*_<>[\]]/g, "\\$&")).join(" | ")} |`,
  };

  function texts(cell, kind) {
    const part = seen(cell);
    const whole = part.cloneNode(true);
    for (const unseen of whole.querySelectorAll(".method small, .shared, .range")) unseen.remove();
    if (cell.classList.contains("method")) whole.querySelector("small")?.remove();
    const text = whole.textContent.replace(/\s+/g, " ").trim().replaceAll("−", kind === "latex" ? "-" : "-");
    if (kind !== "csv" || !cell.classList.contains("n")) return [text];
    const [, number, low, high] = text.match(/(-?\+?[\d.,]*)\s*\[([^,]*), ([^\]]*)\]$/) ?? [null, text];
    return low === undefined ? [number] : [number, low, high];
  }

  function copyTable(kind) {
    move(Infinity);
    const hidden = new Set(view.hide.split(","));
    const columns = keys.map((key, place) => place).filter((place) => !hidden.has(keys[place]));
    const listed = bodies.flatMap((body) => [...body.rows]).filter((row) => !row.hidden && row.cells.length === headers.length);
    const widths = columns.map((place) => Math.max(1, ...listed.map((row) => texts(row.cells[place], kind).length)));
    const titles = columns.flatMap((place, i) => {
      const name = headers[place].dataset.label ?? headers[place].textContent.trim();
      return widths[i] === 1 ? [name] : [name, `${name} low`, `${name} high`];
    });
    const lines = listed.map((row) => columns.flatMap((place, i) => {
      const found = texts(row.cells[place], kind);
      return [...found, ...Array(widths[i] - found.length).fill("")];
    }));
    const write = writers[kind];
    if (kind === "markdown") return [write(titles), `|${titles.map(() => " --- |").join("")}`, ...lines.map(write)].join("\n");
    if (kind === "csv") return [titles, ...lines].map(write).join("\n");
    const layout = columns.map((place) => (headers[place].classList.contains("n") ? "r" : "l")).join("");
    return [`\\begin{tabular}{${layout}}`, "\\hline", write(titles), "\\hline", ...lines.map(write), "\\hline", "\\end{tabular}"].join("\n");
  }

  function copyCitations() {
    const methods = new Set(rows.filter((row) => !row.hidden).map((row) => row.dataset.method));
    const entries = [...document.querySelectorAll(".citations pre")];
    const cited = entries.filter((entry) => JSON.parse(entry.dataset.methods).some((name) => methods.has(name)));
    return cited.map((entry) => entry.textContent).join("\n\n");
  }

  const area = dialog.querySelector("textarea");
  const state = dialog.querySelector("[role=status]");
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", () => {
      const kind = button.dataset.copy;
      dialog.querySelector("h2").textContent = `Copy ${button.textContent}`;
      area.value = kind === "bibtex" ? copyCitations() : copyTable(kind);
      state.textContent = "";
      button.closest("details").open = false;
      dialog.showModal();
      area.select();
    });
  }
  document.getElementById("copy-now").addEventListener("click", async () => {
    area.select();
    try {
      await navigator.clipboard.writeText(area.value);
      state.textContent = "Copied.";
    } catch {
      state.textContent = "The browser does not allow it; the text is selected.";
    }
  });

  headers.forEach((header, place) => {
    const name = header.dataset.label ?? header.textContent.trim();
    if (place > 0 && !header.classList.contains("method")) {
      const label = document.createElement("label");
      const box = document.createElement("input");
      Object.assign(box, {type: "checkbox", value: keys[place]});
      box.addEventListener("change", () => {
        const boxes = [...document.querySelectorAll("#columns input")];
        change({hide: boxes.filter((one) => !one.checked).map((one) => one.value).join(",")});
      });
      label.append(box, ` ${name}`);
      document.getElementById("columns").append(label);
    }
    if (!header.dataset.first) return;
    const button = document.createElement("button");
    button.type = "button";
    if (header.dataset.label) {
      button.setAttribute("aria-label", `sort by ${name}`);
      header.append(" ", button);
    } else {
      button.append(...header.childNodes);
      header.append(button);
    }
    button.addEventListener("click", () => {
      const {key, first} = header.dataset;
      const turned = header.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      change({sort: key, order: header.hasAttribute("aria-sort") ? turned : first});
    });
  });
  for (const name of fields) {
    form.elements[name].addEventListener("input", () => change({[name]: form.elements[name].value}));
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("reset").addEventListener("click", () => change(empty));
  for (const menu of document.querySelectorAll("details.menu")) {
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      menu.open = false;
      menu.querySelector("summary").focus();
    });
    document.addEventListener("click", (event) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
  }
  form.hidden = false;
  read();
  apply();
})();

// What the pages do beyond links and forms: chart tooltip, keys, palette, dialogs, live stream, theme, copying.
// Everything is delegated from the document, so swapped content needs no set-up.
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const words = JSON.parse($("#words").textContent);
  const say = (key, n) => (words[key] ?? words[`${key}.${n === 1 ? "one" : "other"}`]).replace("{n}", n);
  const root = document.documentElement;
  const store = { get: (key) => { try { return localStorage[key]; } catch { return undefined; } },
    set: (key, value) => { try { localStorage[key] = value; } catch { /* private window */ } } };
  const on = (type, selector, act) => document.addEventListener(type, (event) => {
    const target = event.target.closest?.(selector);
    if (target) act(target, event);
  });

  function toast(text, bad) {
    const note = document.createElement("div");
    note.className = bad ? "toast error-toast" : "toast";
    note.append(Object.assign(document.createElement("span"), { textContent: text }));
    $("#toasts").append(note);
    expire(note);
  }
  const expire = (note) => setTimeout(() => note.remove(), 5000);
  all(".toast").forEach(expire);

  // --- swaps: dim what is replaced, keep errors visible, warm links under the pointer ---
  document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    root.classList.add("busy");
    detail.target.setAttribute("aria-busy", "true");
    // A form may come back with what is wrong with it: it stays until its answer is there.
    if (dialog.open && !dialog.contains(detail.target) && detail.elt.tagName !== "FORM") leave();
    if (detail.target === dialog && !dialog.open) title = document.title;
  });
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (detail.shouldSwap && dialog.open && !dialog.contains(detail.target)) leave();
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    root.classList.remove("busy");
    detail.requestConfig.target.removeAttribute("aria-busy"); // an answer may go elsewhere
  });
  for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
    document.addEventListener(failure, () => toast(words["swap.failed"], true));
  }
  // A click that asks for a new tab is the browser's.
  document.addEventListener("click", (event) => {
    if ((event.metaKey || event.ctrlKey || event.shiftKey) && event.target.closest("a[hx-get]")) event.stopImmediatePropagation();
  }, true);
  let warming;
  document.addEventListener("pointerover", (event) => {
    clearTimeout(warming);
    const link = event.target.closest?.("a[href]");
    if (!link || event.pointerType !== "mouse" || navigator.connection?.saveData || link.warm) return;
    const url = link.getAttribute("hx-get") ?? (link.closest("[hx-boost]")?.getAttribute("hx-boost") === "true" ? link.getAttribute("href") : null);
    if (!url) return;
    warming = setTimeout(() => {
      link.warm = true;
      setTimeout(() => { link.warm = false; }, 5000); // as long as the answer may be kept
      fetch(url, { headers: { "HX-Request": "true" } }).catch(() => {});
    }, 65);
  });

  // --- a part that swaps alone (chart, card) changes the address: the links of all other parts follow it ---
  document.addEventListener("htmx:pushedIntoHistory", () => {
    const dash = $("#dash"), pairs = location.search.slice(1).split("&");
    if (!dash) return;
    const owners = all("#main-card, .panel", dash).flatMap((part) => (part.id === "main-card" ? ["metric", "interval"] : [part.id.replace("panel-", "")]).map((name) => [name, part]));
    // A period has the interval that suits it, so its links carry none.
    const others = (element) => owners.filter(([name, part]) => !part.contains(element) && !(name === "interval" && element.closest(".period")));
    const stated = (name) => pairs.find((pair) => pair.startsWith(`${name}=`));
    for (const element of all("a[href], [data-tick]", dash)) {
      for (const key of ["href", "hx-get", "hx-push-url", "data-tick"]) {
        const url = element.getAttribute(key);
        if (!url?.startsWith("/") || element.getAttribute("hx-boost") === "false") continue;
        const [path, query = ""] = url.split("?"), names = others(element).map(([name]) => name);
        const kept = query.split("&").filter((pair) => pair && !names.includes(pair.split("=")[0]));
        const state = [...kept, ...names.map(stated).filter(Boolean)].join("&");
        element.setAttribute(key, state ? `${path}?${state}` : path);
      }
    }
    for (const form of all("form", dash)) {
      for (const [name] of others(form)) {
        $(`input[type=hidden][name="${name}"]`, form)?.remove();
        const pair = stated(name);
        if (pair) form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value: decodeURIComponent(pair.slice(name.length + 1)) }));
      }
    }
    htmx.process(dash);
  });

  // --- menus and dialogs ---
  const dialog = $("#dialog");
  let addressed = false; // the dialog's own address is the newest in the history
  let title; // of the page underneath
  const leave = () => { addressed = false; document.title = title; dialog.close(); };
  document.addEventListener("click", (event) => {
    for (const menu of all("details.menu[open]")) if (!menu.contains(event.target) || event.target.closest(".popover a, button.item")) menu.open = false;
  });
  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    // An answer to a search that was still under way when the dialog was closed does not open it again.
    if (detail.target === dialog && !dialog.open && detail.requestConfig.elt.isConnected) { addressed = true; dialog.showModal(); }
  });
  on("click", "[data-close]", (button, event) => { event.preventDefault(); button.closest("dialog").close(); });
  on("click", "[data-open]", (button) => open(button.dataset.open));
  on("mousedown", "dialog", (box, event) => { if (event.target === box) box.close(); });
  // Closing the dialog goes back, going back closes it; the page underneath is still the right one.
  dialog.addEventListener("close", () => { if (addressed) { dialog.replaceChildren(); history.back(); } });
  addEventListener("popstate", (event) => {
    if (!addressed) return;
    leave();
    event.stopImmediatePropagation();
  }, true);
  on("input", "[data-narrow]", (input) => {
    for (const item of all("a.item", input.closest(".popover"))) item.hidden = !item.textContent.toLowerCase().includes(input.value.toLowerCase());
  });

  // --- chart: one bucket at a time, by pointer or arrow keys; the data table holds the words ---
  // Places are set in a sheet of our own, not in style attributes: copies of those break the page's security policy.
  let bucket = -1;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(".chart {} .map {}");
  document.adoptedStyleSheets.push(sheet);
  const place = (rule, name, value) => sheet.cssRules[rule].style.setProperty(name, value);
  function show(plot, index) {
    const rows = all("#series tbody tr");
    const row = rows[index];
    const tip = $("#tip"), cursor = $(".cursor", plot), spot = $(".spot", plot);
    tip.hidden = cursor.hidden = !row;
    spot.hidden = !row?.dataset.y;
    bucket = row ? index : -1;
    if (!row) return;
    const heads = all("#series thead th").map((head) => head.textContent);
    const cells = [...row.children];
    const line = (name, value, first, tone = "") => {
      const out = document.createElement("span");
      out.className = `tip-line ${first ? "first" : "muted"}`;
      const figure = Object.assign(document.createElement(first ? "b" : "span"), { textContent: value, className: tone });
      out.append(Object.assign(document.createElement("span"), { textContent: name }), figure);
      return out;
    };
    const when = cells[0].firstChild.textContent, remark = $(".remark", row)?.textContent;
    const parts = [line(when, cells[4]?.textContent ?? "", false, cells[4]?.className ?? ""), line(heads[1], cells[1].textContent, true)];
    if (cells[3]) parts.push(line(cells[2].textContent, cells[3].textContent));
    const here = Intl.DateTimeFormat().resolvedOptions().timeZone, zone = plot.dataset.zone;
    for (const text of [remark, zone && zone !== here && words["chart.zone"].replace("{zone}", zone)]) {
      if (text) parts.push(Object.assign(document.createElement("span"), { textContent: text, className: "remark muted" }));
    }
    tip.replaceChildren(...parts);
    const x = row.dataset.x / 100 * plot.clientWidth;
    place(0, "--x", `${x}px`);
    if (row.dataset.y) place(0, "--y", `${row.dataset.y}%`);
    const left = plot.offsetLeft + x, room = tip.parentNode.clientWidth;
    place(0, "--tip", `${left + 14 + tip.offsetWidth > room ? Math.max(left - 14 - tip.offsetWidth, 4) : left + 14}px`);
  }
  function nearest(plot, event) {
    const box = plot.getBoundingClientRect(), x = (event.clientX - box.left) / box.width * 100;
    return all("#series tbody tr").reduce((best, row, index, rows) =>
      Math.abs(row.dataset.x - x) < Math.abs(rows[best].dataset.x - x) ? index : best, 0);
  }
  on("pointermove", "#plot", (plot, event) => show(plot, nearest(plot, event)));
  on("pointerdown", "#plot", (plot, event) => show(plot, nearest(plot, event)));
  on("click", "#plot", (plot, event) => { if (event.detail && matchMedia("(hover: hover)").matches) $(`#series tbody tr:nth-child(${nearest(plot, event) + 1}) a`)?.click(); });
  document.addEventListener("pointerout", (event) => {
    const plot = event.target.closest?.("#plot");
    if (plot && !plot.contains(event.relatedTarget) && event.pointerType === "mouse") show(plot, -1);
  });
  on("focusout", "#plot", (plot) => show(plot, -1));
  // htmx does not take over links inside an SVG.
  on("click", "[data-map] a", (link, event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    htmx.ajax("GET", link.getAttribute("href"), { source: "#dash", target: "#dash", swap: "morph:outerHTML" });
  });
  on("pointermove", "[data-map]", (map, event) => {
    const tip = $(".tip", map), area = event.target.closest("use[data-name]");
    tip.hidden = !area;
    if (!area) return;
    const { name, value, percent } = area.dataset, box = map.getBoundingClientRect();
    const strong = Object.assign(document.createElement("b"), { textContent: value });
    const line = Object.assign(document.createElement("span"), { className: "tip-line first" });
    line.append(name, strong);
    tip.replaceChildren(line, Object.assign(document.createElement("span"), { textContent: percent ?? "", className: "muted", hidden: !percent }));
    const x = event.clientX - box.left;
    place(1, "--tip", `${x + 14 + tip.offsetWidth > box.width ? x - 14 - tip.offsetWidth : x + 14}px`);
    place(1, "--tip-y", `${event.clientY - box.top + 10}px`);
  });
  document.addEventListener("pointerout", (event) => { const map = event.target.closest?.("[data-map]"); if (map && !map.contains(event.relatedTarget)) $(".tip", map).hidden = true; });

  // --- keys: every element that has one says so in data-key ---
  const keysOn = () => store.get("keys") !== "off";
  document.addEventListener("keydown", (event) => {
    const at = event.target, typing = at.closest("input:not([type=checkbox], [type=radio]), select, textarea, [contenteditable]");
    if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") { event.preventDefault(); return open("palette"); }
    if (event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.key === "Escape") {
      const menu = $("details.menu[open]");
      if (menu) { menu.open = false; $("summary", menu).focus(); }
      if (at.id === "plot") show(at, -1);
      return;
    }
    if (at.id === "plot" && /^(Arrow(Left|Right)|Home|End|Enter)$/.test(event.key)) {
      event.preventDefault();
      const last = all("#series tbody tr").length - 1;
      if (event.key === "Enter") return $(`#series tbody tr:nth-child(${bucket + 1}) a`)?.click();
      return show(at, { ArrowLeft: Math.max(bucket < 0 ? last : bucket - 1, 0), ArrowRight: Math.min(bucket + 1, last), Home: 0, End: last }[event.key]);
    }
    if (at.matches("[role=tab]") && /^Arrow(Left|Right)$/.test(event.key)) {
      const tabs = all("[role=tab]", at.closest("[role=tablist]"));
      event.preventDefault();
      return tabs[(tabs.indexOf(at) + (event.key === "ArrowRight" ? 1 : -1) + tabs.length) % tabs.length].focus();
    }
    const popover = at.closest(".menu")?.querySelector(".popover");
    if (popover && /^Arrow(Up|Down)$/.test(event.key)) {
      const items = all(".item:not([hidden])", popover), next = items.indexOf(at) + (event.key === "ArrowDown" ? 1 : -1);
      event.preventDefault();
      return items[(next + items.length) % items.length]?.focus();
    }
    if (event.key === " " && at.matches("a[role=button]")) { event.preventDefault(); return at.click(); }
    // A field keeps the focus for a frame after its dialog has closed.
    if ((typing && !at.closest("dialog:not([open])")) || !keysOn() || $("dialog[open]")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const field = $(`[data-key-focus="${CSS.escape(key)}"]`);
    if (field) { event.preventDefault(); field.closest("details").open = true; return field.focus(); }
    const target = $(`[data-key="${CSS.escape(key)}"]`);
    if (target) { event.preventDefault(); target.click(); }
  });
  if (!/Mac|iPhone|iPad/.test(navigator.platform)) all("[data-mod-k]").forEach((key) => { key.textContent = "Ctrl K"; });

  // --- palette: what the page offers, fuzzy; recent first ---
  const palette = $("#palette"), list = $(".palette-list", palette), input = $("input", palette);
  let commands = [], chosen = 0;
  const recent = () => (store.get("recent") ?? "").split("\n").filter(Boolean);
  function score(text, query) { // letters in order; runs and word starts count more
    let at = -1, sum = 0;
    for (const letter of query) {
      const next = text.indexOf(letter, at + 1);
      if (next < 0) return 0;
      sum += next === at + 1 ? 3 : /[\s./-]/.test(text[next - 1] ?? " ") ? 2 : 1;
      at = next;
    }
    return sum - text.length / 100;
  }
  function fill() {
    const query = input.value.trim().toLowerCase(), order = recent();
    const rows = commands.map((element) => ({ element, name: element.dataset.command, group: element.dataset.group }))
      .map((row) => ({ ...row, rank: query ? score(row.name.toLowerCase(), query.replace(/\s+/g, "")) : order.includes(row.name) ? 9 - order.indexOf(row.name) : .1 }))
      .filter((row) => row.rank > 0).sort((a, b) => query || a.rank > 1 || b.rank > 1 ? b.rank - a.rank : 0).slice(0, 40);
    let heading = "";
    list.replaceChildren(...rows.flatMap((row, index) => {
      const group = !query && row.rank > 1 ? words["palette.recent"] : row.group, out = [];
      if (!query && group !== heading) out.push(Object.assign(document.createElement("p"), { className: "heading", textContent: heading = group }));
      const item = Object.assign(document.createElement("div"), { className: "item", id: `command-${index}`, role: "option" });
      item.append(Object.assign(document.createElement("span"), { textContent: row.name }));
      const hint = row.element.dataset.key;
      if (hint) item.append(Object.assign(document.createElement("kbd"), { textContent: hint.toUpperCase() }));
      item.command = row.element;
      return [...out, item];
    }));
    $(".empty", palette).hidden = rows.length > 0;
    choose(0);
  }
  function choose(index) {
    const items = all(".item", list);
    chosen = (index + items.length) % (items.length || 1);
    items.forEach((item, place) => item.setAttribute("aria-selected", place === chosen));
    items[chosen]?.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", items[chosen]?.id ?? "");
  }
  function run(item) {
    if (!item) return;
    palette.close();
    store.set("recent", [item.command.dataset.command, ...recent().filter((name) => name !== item.command.dataset.command)].slice(0, 5).join("\n"));
    item.command.click();
  }
  function open(id) {
    const box = $(`#${id}`);
    if (box.open) return;
    all("details.menu[open]").forEach((menu) => { menu.open = false; });
    if (id === "palette") { commands = all("[data-command]"); input.value = ""; fill(); }
    if (id === "keys") {
      const seen = new Map(all("[data-key]").map((element) => [element.dataset.key, element.dataset.help]));
      $(".keys", box).replaceChildren(...[...seen].map(([key, help]) => {
        const row = document.createElement("div");
        row.append(Object.assign(document.createElement("dt"), { textContent: help }), document.createElement("dd"));
        row.lastChild.append(Object.assign(document.createElement("kbd"), { textContent: { ArrowLeft: "←", ArrowRight: "→" }[key] ?? key.toUpperCase() }));
        return row;
      }));
      $("#keys-on").checked = keysOn();
    }
    box.showModal();
  }
  input.addEventListener("input", fill);
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) { event.preventDefault(); choose(chosen + step); }
    if (event.key === "Enter") { event.preventDefault(); run(all(".item", list)[chosen]); }
  });
  list.addEventListener("click", (event) => run(event.target.closest(".item")));
  on("change", "#keys-on", (box) => store.set("keys", box.checked ? "on" : "off"));

  // --- theme: a cookie, so that the server renders it and nothing flashes ---
  function theme(name) {
    root.dataset.theme = name;
    $("meta[name=color-scheme]").content = name === "system" ? "light dark" : name;
    document.cookie = `theme=${name}; path=/; max-age=31536000; samesite=lax`;
    $("#announce").textContent = words[`theme.${name}`];
  }
  on("click", "[data-theme-next]", () => theme({ system: "light", light: "dark", dark: "system" }[root.dataset.theme]));
  on("click", "[data-theme-set]", (button) => theme(button.dataset.themeSet));

  // --- forms and copying ---
  on("click", "[data-copy]", async (button) => {
    try {
      await navigator.clipboard.writeText($(`#${button.dataset.copy}`).textContent.trim());
      button.classList.add("done");
      $("#announce").textContent = words["code.copied"];
      setTimeout(() => button.classList.remove("done"), 1600);
    } catch { toast(words["code.failed"], true); }
  });
  on("submit", "form", (form, event) => { const sure = event.submitter?.dataset.sure; if (sure && !confirm(sure)) event.preventDefault(); });
  on("change", "[data-submit]", (select) => select.form.requestSubmit());
  const guess = $("[data-guess=timezone]");
  if (guess) {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if ([...guess.options].some((option) => option.value === zone)) guess.value = zone;
  }
  for (const box of all("[data-confirm]")) {
    const button = $("button:not([type=button])", box.form), check = () => { button.disabled = box.value.trim() !== box.dataset.confirm; };
    box.addEventListener("input", check);
    check();
  }

  // On a phone a row of tabs is wider than the screen: the chosen one comes into view, and the page stays where it is.
  const reveal = (part) => all(".side [aria-current], .reports [aria-current], .tabs [aria-selected=true]", part).forEach((tab) => {
    const row = tab.closest(".side, .reports, .tabs"), [at, frame] = [tab, row].map((element) => element.getBoundingClientRect());
    row.scrollLeft += at.left + at.width / 2 - frame.left - frame.width / 2;
  });
  reveal();
  document.addEventListener("htmx:afterSettle", ({ detail }) => reveal(detail.elt));

  // --- time passing ---
  for (const box of all("[data-after]")) setTimeout(() => { box.hidden = false; }, box.dataset.after * 1000);
  function ages() {
    for (const time of all("time[data-ago]")) {
      const seconds = Math.max((Date.now() - Date.parse(time.dateTime)) / 1000, 0);
      const [unit, length] = seconds < 5 ? ["now", 1] : seconds < 60 ? ["s", 1] : seconds < 3600 ? ["m", 60] : seconds < 86400 ? ["h", 3600] : ["d", 86400];
      time.textContent = say(`ago.${unit}`, Math.floor(seconds / length));
    }
  }
  if ($("time[data-ago]") || $("#feed")) setInterval(ages, 5000);

  // --- one stream a page: `live`, `feed`, `tick`, `first`; paused while nobody looks ---
  const url = document.body.dataset.stream;
  let source, wait = 1000, retry, told = 0, heard = "";
  const ticked = new WeakMap();
  const state = (live) => {
    document.body.classList.toggle("paused", !live);
    all("[data-state-on]").forEach((mark) => { mark.hidden = !live; });
    all("[data-state-off]").forEach((mark) => { mark.hidden = live; });
    all(".live-pill").forEach((pill) => { pill.title = live ? "" : words["live.pill.paused"]; });
  };
  const stays = (name, element) => !(name === "open" && element.matches("details")) && !(name === "hidden" && element.closest(".chart"));
  const hears = {
    live({ data }) {
      for (const mark of all("[data-live]")) {
        if (mark.textContent === data) continue;
        mark.textContent = data;
        mark.animate?.([{ opacity: 0 }, { opacity: 1 }], matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 150);
      }
      const count = Number(data.replace(/\D/g, ""));
      if (Date.now() - told > 30000 && /^\d+$/.test(data)) { told = Date.now(); $("#announce").textContent = say("live.announce", count); }
    },
    feed({ data }) {
      const feed = $("#feed");
      if (!feed) return;
      const fresh = document.createElement("template");
      fresh.innerHTML = data;
      [...fresh.content.children].forEach((row) => row.classList.add("fresh"));
      feed.prepend(fresh.content);
      while (feed.children.length > feed.dataset.max) feed.lastElementChild.remove();
    },
    tick() {
      for (const part of all("[data-tick]")) {
        if (Date.now() - (ticked.get(part) ?? 0) < part.dataset.tickSeconds * 1000) continue;
        ticked.set(part, Date.now());
        fetch(part.dataset.tick, { headers: { "HX-Request": "true" } }).then((answer) => answer.ok && answer.text())
          .then((html) => {
            if (!html || !part.isConnected) return;
            Idiomorph.morph(part, html, { morphStyle: "outerHTML", callbacks: { beforeAttributeUpdated: stays } });
            htmx.process($(`#${part.id}`));
            if (bucket >= 0) show($("#plot"), bucket);
          })
          .catch(() => {});
      }
    },
    first() {
      const waiting = $("#waiting[data-received=false]");
      if (waiting) { waiting.dataset.received = "true"; $(".received .button", waiting)?.focus(); }
    },
  };
  function listen() {
    clearTimeout(retry);
    source?.close();
    source = undefined;
    if (document.hidden) return state(false);
    const from = new URL(url, location.href);
    if (heard) from.searchParams.set("after", heard); // what was missed meanwhile comes first
    source = new EventSource(from);
    source.onopen = () => { wait = 1000; state(true); };
    source.onerror = () => {
      state(false);
      source.close();
      retry = setTimeout(listen, wait + Math.random() * 500);
      wait = Math.min(wait * 2, 60000);
    };
    for (const [name, hear] of Object.entries(hears)) {
      source.addEventListener(name, (event) => { heard = event.lastEventId || heard; hear(event); });
    }
  }
  if (url) {
    document.addEventListener("visibilitychange", listen);
    addEventListener("pagehide", () => source?.close());
    addEventListener("pageshow", (event) => event.persisted && listen());
    listen();
  }
})();

// The tracker: page views, navigation inside the page, engagement, events, identity, delivery.
// Built into script.js (2,048 bytes gzip at most). docs/tracker.md describes every attribute and call;
// README.md beside this file says how the source is written and why.
{
  // Nothing reaches the page: every entry (call, listener, timer) goes through here.
  const safe = (action) => (...rest) => {
    try {
      return action(...rest);
    } catch (e) {
      console.warn(e);
    }
  };

  safe(() => {
    const doc = document;
    // A module has no currentScript. The key's prefix keeps other vendors' data-key tags out.
    const script = doc.currentScript || doc.querySelector(
      "script[data-key^=sa_],script[data-domain],script[data-website-id],script[data-project]");
    const before = window.appliance || {};
    // A tag that runs twice (tag manager, page swapped by script) must not count twice. The stub has a q.
    if (!script || before.track && !before.q) return;

    const data = script.dataset;
    const src = script.src || location.href;
    const key = data.key || data.project;
    const api = new URL(data.api || "/api/v1/events/ingest", src);
    api.search = key ? "key=" + key
      : data.websiteId ? "project=" + data.websiteId : "domain=" + (data.domain || location.hostname);

    // A browser may refuse storage: then an object of this page serves. Nothing is written before it must be.
    const open = (name) => {
      try {
        return window[name] || {};
      } catch {
        return {};
      }
    };
    const optout = "appliance.optout";
    const waiting = "appliance.queue" + api;    // one origin may carry several projects
    const userId = "appliance.user";
    const anonymousId = "appliance.id";
    const local = open("localStorage");
    const personal = "persist" in data ? local : open("sessionStorage");

    // Undefined where storage is full: then the visitor is anonymous, not lost.
    const known = safe(() => local[anonymousId] = local[anonymousId] || mint());
    const mint = () => Date.now().toString(36)
      + ("00000" + crypto.getRandomValues(new Uint32Array(1))[0].toString(36)).slice(-6);
    const attributes = (element, prefix) => {
      const found = {};
      for (let { name, value } of element.attributes) {
        name = name.split(prefix)[1];
        if (name) found[name] = value;
      }
      return found;
    };
    const common = attributes(script, "data-props-");

    let queue = [];
    let timer;
    let failures = 0;
    let referrer = doc.referrer;
    let given;        // the address given to page(), which stands until the next page view
    let current;      // the page view that engagement belongs to
    let route;        // what of the address makes a page
    let since;        // since when visible and focused, 0 while not
    let engaged;      // milliseconds and pixels from here on: page() begins them
    let depth;
    let depthSent;

    const add = (event, more) => {
      if (local[optout] || navigator.webdriver && event != "pageview") return;
      // Copied at once: what the page changes later is not what happened, and a cycle fails here alone.
      more = JSON.parse(JSON.stringify({
        event,
        event_id: mint(),
        timestamp: Date.now(),
        url: new URL(given || location, location),
        hash: "hash" in data || undefined,
        referrer,
        screen: screen.width + "x" + screen.height,
        language: navigator.language,
        timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
        user_id: personal[userId],
        anonymous_id: "persist" in data ? known() : undefined,
        automation: navigator.webdriver || undefined,
        ...more,
      }));
      if (queue.push(more) > 9) flush();
      else timer = timer || setTimeout(flush, 2000);
      return more;
    };

    // ---- delivery
    const take = () => {
      const kept = local[waiting] || "[]";
      delete local[waiting];
      return JSON.parse(kept).filter((event) => event.timestamp > Date.now() - 864e5);
    };
    const keep = safe((events) => {
      // Who opts out while a request is under way leaves nothing behind, whatever becomes of it.
      if (!local[optout]) local[waiting] = JSON.stringify(take().concat(events).slice(-50));
    });
    const resend = safe(() => {
      queue = take().concat(queue);
      flush();
    });
    // Tabs that open or come online together would all find the same events; chance sets them apart.
    const revive = () => {
      if (local[waiting]) setTimeout(resend, Math.random() * 1000);
    };
    const fail = (events, wait) => {
      keep(events);
      if (++failures < 3) setTimeout(resend, (wait || failures * failures) * 1000);
    };
    const flush = safe((leaving) => {
      timer = clearTimeout(timer);
      if (doc.prerendering) return;
      // Single-page applications set the title after the address.
      if (current) current.title = doc.title;
      const events = queue;
      queue = [];
      if (!events[0] || local[optout]) return;
      const body = JSON.stringify({ sent_at: Date.now(), events });
      if (leaving) {
        if (failures || !navigator.onLine || !navigator.sendBeacon(api, body)) keep(events);
      } else {
        // Requests with keepalive share 64 KB, so a second try goes without.
        fetch(api, { method: "POST", body, keepalive: !failures, credentials: "omit" }).then((answer) => {
          if (answer.ok) {
            failures = 0;
            revive();
          } else if (/408|429|5../.test(answer.status)) {
            fail(events, +answer.headers.get("retry-after"));
          } else {
            answer.text().then((text) => console.warn(src, text));
          }
        }, () => fail(events));
      }
    });

    // ---- engagement
    const measure = () => {
      const root = doc.scrollingElement || doc.documentElement;
      depth = Math.max(depth, root.scrollTop + root.clientHeight);
      return Math.min(100, depth / root.scrollHeight * 100 + 0.5 | 0);
    };
    const attend = ({ type }) => {
      const leaving = type == "pagehide";
      const scroll_depth = measure();           // first: it may lay the page out, which is not time before the view
      const now = performance.now();
      if (since) engaged += now - since;
      since = !leaving && !doc.hidden && doc.hasFocus() ? now : 0;
      if (current && !(type && since) && (engaged > 2999 || depth > depthSent)) {
        add("engagement", {
          url: current.url,
          pageview_id: current.event_id,
          scroll_depth,
          engaged_ms: engaged | 0,
        });
        engaged = 0;
        depthSent = depth;
      }
      if (leaving || doc.hidden) flush(leaving);
    };

    // ---- calls
    const where = () => "hash" in data ? location.href : location.pathname + location.search;
    const page = safe((url, properties) => {
      attend({});
      given = url;
      route = where();
      current = add("pageview", { title: doc.title, properties: { ...common, ...properties } });
      referrer = undefined;
      depth = engaged = 0;
      depthSent = -1;
      clearTimeout(timer);
      timer = setTimeout(flush, 99);
    });
    const arrive = () => "manual" in data || page();
    const navigated = () => {
      if (route != where()) arrive();
    };
    const track = safe((name, properties, options) =>
      add(name, { ...options, properties: { ...common, ...properties } }));
    const identify = safe((id, traits) => {
      if (id) {
        id += "";
        if (add("identify", { user_id: id, traits })) personal[userId] = id;
      }
    });
    const forget = () => {
      delete personal[userId];
      delete local[anonymousId];
    };
    const calls = window.appliance = {
      track,
      page,
      identify,
      reset: safe(() => {
        add("reset");
        // At once: the page after log-out would overtake a beacon, and join the visit of who is gone.
        flush();
        forget();
      }),
      optOut: safe(() => {
        forget();
        take();
        local[optout] = 1;
        flush();
      }),
      optIn: () => delete local[optout],
    };

    // Pages with these tags call these names from the first moment on; script.x.js completes umami.
    if (data.project || data.websiteId) {
      window[data.project ? "tracker" : "umami"] = { ...calls, event: track };
    }

    // ---- start
    const on = (name, listener) => addEventListener(name, safe(listener), true);
    const start = () => {
      arrive();
      (before.q || []).map(([name, ...rest]) => calls[name](...rest));
      flush();
      revive();
    };
    ["pushState", "replaceState"].map((name) => {
      const original = history[name];
      history[name] = (...rest) => {
        original.apply(history, rest);
        navigated();
      };
    });
    on("popstate", navigated);
    on("pageshow", (event) => event.persisted && arrive());
    on("scroll", measure);
    on("focus", attend);
    on("blur", attend);
    on("pagehide", attend);
    on("visibilitychange", attend);
    on("online", () => {
      failures = 0;
      revive();
    });
    on("click", (event) => {
      const element = event.target.closest("[data-event]");
      if (element) track(element.dataset.event, attributes(element, "data-event-"));
    });
    if (doc.prerendering) on("prerenderingchange", start);
    else start();
    if (/out|load|form|404|compat|site/.test(Object.keys(data))) {
      const extension = doc.createElement("script");
      Object.assign(extension.dataset, data);
      extension.src = src.replace(/(\.js)?(\?|$)/, ".x$&");
      doc.head.append(extension);
    }
  })();
}

// The tracker's second part: what a page sends only when an attribute of the tag asks for it, and the call
// names of other products. Built into script.x.js (1,536 bytes gzip at most). script.js inserts it with the
// tag's own data-* attributes copied; it talks to script.js through window.appliance alone.
{
  const safe = (action) => (...rest) => {
    try {
      return action(...rest);
    } catch (e) {
      console.warn(e);
    }
  };
  safe(() => {
    const doc = document;
    const data = doc.currentScript.dataset;
    const { track, page, identify, reset } = window.appliance;
    const wants = (product) => (data.compat || "").includes(product);
    const on = (name, listener) => addEventListener(name, safe(listener), true);
    // Without query and fragment, which may hold what a visitor typed.
    const bare = (url) => url.split(/[?#]/)[0];

    // ---- links: Plausible's names and its order (an outbound link is not also a download)
    const files = RegExp("\\.(" + (data.downloads
      || "7z,apk,avi,bz2,csv,deb,dmg,doc,docx,epub,exe,gz,ics,iso,jar,key,m4a,midi,mov,mp3,mp4,mpeg,mpg,msi,"
      + "numbers,odp,ods,odt,ogg,pages,pdf,pkg,pps,ppt,pptx,rar,rpm,rtf,tar,tgz,txt,wav,webm,wma,wmv,xls,xlsx,xz,zip"
    ).replace(/[^\w,]/g, "").replace(/,/g, "|") + ")$", "i");
    const clicked = (event) => {
      if (event.button > 1) return;
      // The path, not the target: it sees through open shadow roots.
      const link = event.composedPath().find((node) => node.host && node.href);
      if (!link) return;
      if ("outbound" in data && link.host != location.host) {
        track("Outbound Link: Click", { url: link.href });
      } else if ("downloads" in data && (link.hasAttribute("download") || files.test(link.pathname))) {
        track("File Download", { url: bare(link.href) });
      }
    };
    on("click", clicked);
    on("auxclick", clicked);
    if ("forms" in data) {
      on("submit", ({ target }) => {
        // A form that closes its <dialog> sends nothing. An input named "action" would hide the property.
        if (target.getAttribute("method") == "dialog") return;
        track("Form: Submission", {
          path: location.pathname,
          action: bare(new URL(target.getAttribute("action") || "", location).href),
        });
      });
    }
    if ("404" in data) track("404", { path: location.pathname }, { interactive: false });

    // ---- other products' names
    // Revenue among the properties, as Segment and Umami have it.
    const sale = (name, properties) => {
      const { revenue, currency } = properties || 0;
      track(name, properties, revenue > 0 && { revenue: { amount: +revenue, currency: currency || "USD" } });
    };
    const done = (...rest) => rest.map((one) => typeof one == "function" && setTimeout(one, 0, {}));

    if (wants("plausible")) {
      const { q } = window.plausible || 0;
      const plausible = window.plausible = safe((name, options) => {
        const { props, u, revenue, interactive, callback } = options || 0;
        if (name == "pageview") page(u, props);
        else track(name, props, { ...u && { url: new URL(u, location) }, revenue, interactive });
        done(callback);
      });
      plausible.init = done;
      (q || []).map((call) => plausible(...call));
    }

    if (wants("umami") || "websiteId" in data) {
      window.umami = {
        track: safe((what, details) => {
          if (typeof what == "string") return sale(what, details);
          const { name, url, data: properties } = typeof what == "function" ? what({
            hostname: location.hostname,
            language: navigator.language,
            referrer: doc.referrer,
            screen: screen.width + "x" + screen.height,
            title: doc.title,
            url: location.pathname + location.search,
            website: data.websiteId,
          }) || {} : what || { url: location.href };
          if (name) sale(name, properties);
          else if (url) page(url, properties);
        }),
        identify: safe((id, details) => typeof id != "object" && identify(id, details)),
      };
      on("click", ({ target }) => {
        const element = target.closest("[data-umami-event]");
        if (!element) return;
        const found = {};
        for (let { name, value } of element.attributes) {
          name = name.split("data-umami-event-")[1];
          if (name) found[name] = value;
        }
        sale(element.dataset.umamiEvent, found);
      });
    }

    if (wants("tracker")) window.tracker = { event: track, identify, reset };

    if (wants("analytics")) {
      const before = window.analytics;
      const analytics = window.analytics = {
        track: safe((name, properties, ...rest) => {
          sale(name, properties);
          done(properties, ...rest);
        }),
        page: safe((...rest) => {
          const [category, name] = rest.filter((one) => typeof one == "string");
          const properties = rest.find((one) => one && typeof one == "object") || 0;
          page(properties.url, name ? { category, name, ...properties } : { name: category, ...properties });
          done(...rest);
        }),
        identify: safe((id, traits, ...rest) => {
          if (typeof id != "object") identify(id, traits);
          done(traits, ...rest);
        }),
        reset,
      };
      // The rest of its names: nothing happens, callbacks are called, the page does not fail.
      for (const name of ["ready", "load", "group", "alias", "screen", "on", "once", "off", "debug"]) {
        analytics[name] = done;
      }
      // Its snippet is an array of calls until its script has come.
      if (Array.isArray(before)) before.map(([name, ...rest]) => analytics[name] && analytics[name](...rest));
    }
  })();
}

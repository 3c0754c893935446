// Makes the vendored files, sprites, map and fonts under appliance/static from npm packages of exact versions.
//
//   npm install --no-save --prefix DIR $(node tools/build_assets.mjs --packages)
//   node tools/build_assets.mjs DIR/node_modules
//
// Outputs are committed; nothing is built at run time.
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

// package -> version, licence, licence file in the package, what it becomes (null: a tool, not shipped)
const PACKAGES = {
  "htmx.org": ["2.0.11", "0BSD", "LICENSE", "vendor/htmx.min.js"],
  "idiomorph": ["0.8.0", "0BSD", "LICENSE", "vendor/idiomorph-ext.min.js"],
  "@fontsource-variable/geist": ["5.3.0", "OFL-1.1", "LICENSE", "fonts/geist-*.woff2"],
  "lucide-static": ["1.62.0", "ISC", "LICENSE", "icons.svg"],
  "country-flag-icons": ["1.6.20", "MIT", "LICENSE", "flags.svg"],
  "simple-icons": ["16.37.0", "CC0-1.0", "LICENSE.md", "brands.svg (the marks stay their owners' trademarks)"],
  "world-atlas": ["2.0.2", "ISC", "LICENSE", "world.svg (Natural Earth, public domain)"],
  "i18n-iso-countries": ["7.14.0", "MIT", null, null],
  "d3-geo": ["3.1.2", "ISC", null, null],
  "topojson-client": ["3.1.0", "ISC", null, null],
  "topojson-simplify": ["3.0.3", "ISC", null, null],
  "svgo": ["4.1.0", "MIT", null, null],
};

const ICONS = `
  activity archive arrow-down arrow-right arrow-up arrow-up-right ban book-open calendar chart-no-axes-column check
  chevron-down chevron-left chevron-right chevrons-up-down circle-alert circle-check circle-help circle-x code command
  contrast copy corner-down-left database download ellipsis external-link eye file-down funnel gauge git-compare-arrows
  globe hard-drive inbox info key-round keyboard layout-grid list-filter log-out monitor moon mouse-pointer-click
  pause pencil plus radio refresh-cw scroll-text search server settings shield smartphone sun tablet target trash-2
  triangle-alert tv upload users x`.trim().split(/\s+/);

const BRANDS = `
  android anthropic apple archlinux baidu bluesky brave claude debian deepseek devdotto discord duckduckgo ecosia
  facebook fedora feedly firefoxbrowser freebsd github gitlab gmail google googlechrome googlegemini googlenews
  harmonyos instagram kagi kaios linux lobsters mastodon medium messenger mistralai naver notion opera
  perplexity pinterest producthunt quora qwant reddit safari sinaweibo snapchat stackoverflow startpage
  substack telegram threads tiktok torbrowser twitch ubuntu vimeo vivaldi vk wechat whatsapp wikipedia x xiaomi
  ycombinator youtube`.trim().split(/\s+/);

// Territories that report addresses of their own but that the atlas lacks or draws inside another country:
// longitude, latitude of their main place.
const POINTS = {
  BQ: [-68.27, 12.15], CC: [96.83, -12.19], CX: [105.63, -10.49], GI: [-5.35, 36.14], GP: [-61.55, 16.25],
  MQ: [-61.02, 14.65], RE: [55.53, -21.13], SJ: [15.65, 78.22], TK: [-171.85, -9.17], TV: [179.2, -8.52],
  YT: [45.16, -12.82],
};
// Parts of the atlas without an ISO code that belong under one for counting.
const JOINED = { "Somaliland": "SO", "N. Cyprus": "CY", "Kosovo": "XK", "Indian Ocean Ter.": "AU" };
const GRID = 2000; // map units across; integers then are below half a pixel on a 2x screen
const DOT_BELOW = 15; // a country narrower and lower than this many units is drawn as a dot

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../appliance/static");
const modules = process.argv[2];

if (modules === "--packages") {
  console.log(Object.entries(PACKAGES).map(([name, [version]]) => `${name}@${version}`).join(" "));
  process.exit(0);
}
if (!modules) throw new Error("usage: node tools/build_assets.mjs DIR/node_modules");

const from = (...parts) => join(resolve(modules), ...parts);
const text = (...parts) => readFileSync(from(...parts), "utf8");
const load = (path) => import(pathToFileURL(from(path)).href);
const write = (path, content) => {
  writeFileSync(join(root, path), content);
  console.log(path, content.length);
};
const sprite = (symbols) => `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join("\n")}\n</svg>\n`;
const inner = (svg) => svg.replace(/<!--.*?-->/gs, "").replace(/^.*?<svg[^>]*>/s, "").replace(/<\/svg>\s*$/s, "")
  .replace(/\s*\n\s*/g, "").replace(/ \/>/g, "/>").trim();

function vendor() {
  for (const folder of ["vendor", "fonts"]) mkdirSync(join(root, folder), { recursive: true });
  const lines = [];
  for (const [name, [version, licence, file, made]] of Object.entries(PACKAGES)) {
    const installed = JSON.parse(text(name, "package.json")).version;
    if (installed !== version) throw new Error(`${name} is ${installed}, the recipe is for ${version}`);
    if (!made) continue;
    const short = name.split("/").pop().replace(".org", "");
    copyFileSync(from(name, file), join(root, "vendor", `LICENSE.${short}`));
    lines.push([name, version, licence, `LICENSE.${short}`, made].join("\t"));
  }
  write("vendor/VERSIONS", ["package\tversion\tlicence\ttext\tfile under static/", ...lines].join("\n") + "\n");
  copyFileSync(from("htmx.org/dist/htmx.min.js"), join(root, "vendor/htmx.min.js"));
  copyFileSync(from("idiomorph/dist/idiomorph-ext.min.js"), join(root, "vendor/idiomorph-ext.min.js"));
  for (const subset of ["latin", "latin-ext", "cyrillic"]) {
    copyFileSync(from(`@fontsource-variable/geist/files/geist-${subset}-wght-normal.woff2`),
      join(root, `fonts/geist-${subset}.woff2`));
  }
}

function icons() {
  write("icons.svg", sprite(ICONS.map((name) =>
    `<symbol id="${name}" viewBox="0 0 24 24">${inner(text("lucide-static/icons", `${name}.svg`))}</symbol>`)));
}

const luminance = (hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255)
  .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);

async function shrink(precision) {
  const { optimize } = await load("svgo/lib/svgo-node.js");
  const plugins = [{ name: "preset-default", params: { floatPrecision: precision } }];
  return (svg) => optimize(svg, { plugins }).data;
}

async function brands() {
  const small = await shrink(1); // a twentieth of a unit of 24: nothing at 16 px
  const known = JSON.parse(text("simple-icons/data/simple-icons.json"));
  const list = Array.isArray(known) ? known : known.icons;
  const plain = (name) => name.toLowerCase().replace(/\+/g, "plus").replace(/\./g, "dot").replace(/[^a-z0-9]/g, "");
  write("brands.svg", sprite(BRANDS.map((slug) => {
    const { hex } = list.find((icon) => (icon.slug ?? plain(icon.title)) === slug);
    const y = luminance(hex);
    // A mark keeps its colour where it stands out from a white and from a near-black card, else it takes the text's.
    const fill = y < 0.5 && y > 0.06 ? `#${hex.toLowerCase()}` : "currentColor";
    return `<symbol id="${slug}" viewBox="0 0 24 24" fill="${fill}">` +
      `${inner(small(text("simple-icons/icons", `${slug}.svg`))).replace(/<title>.*?<\/title>/, "")}</symbol>`;
  })));
}

async function flags() {
  const whole = await shrink(0); // for those drawn some 500 units wide
  const fine = await shrink(2); // and those drawn some 20 units wide
  const folder = "country-flag-icons/3x2";
  const names = readdirSync(from(folder)).filter((name) => /^(?!X[ACO])[A-Z]{2}\.svg$/.test(name)).sort();
  write("flags.svg", sprite(names.map((name) => {
    const code = name.slice(0, 2);
    const drawing = text(folder, name);
    const box = /viewBox="([^"]+)"/.exec(drawing)[1];
    const small = Number(box.split(" ")[2]) > 300 ? whole : fine;
    const own = inner(small(drawing)).replace(/\bid="(\w+)"/g, `id="${code}$1"`)
      .replace(/url\(#(\w+)\)/g, `url(#${code}$1)`).replace(/href="#(\w+)"/g, `href="#${code}$1"`);
    return `<symbol id="${code}" viewBox="${box}">${own}</symbol>`;
  })));
}

/** Polygons in map units -> compact path data with relative integer steps. */
function path(polygons) {
  let out = "";
  for (const ring of polygons.flat()) {
    const points = ring.map(([x, y]) => [Math.round(x), Math.round(y)])
      .filter(([x, y], i, all) => i === 0 || x !== all[i - 1][0] || y !== all[i - 1][1]);
    points.pop(); // a ring ends where it began
    if (points.length < 3) continue;
    const steps = points.slice(1).map(([x, y], i) => [x - points[i][0], y - points[i][1]]);
    out += `M${points[0].join(" ")}l${steps.map((step) => step.join(" ")).join(" ")}z`;
  }
  return out.replace(/ -/g, "-");
}

async function world() {
  const { geoEqualEarth, geoPath, geoStream } = await load("d3-geo/dist/d3-geo.mjs");
  const topojson = await load("topojson-client/src/index.js");
  const { presimplify, simplify, sphericalTriangleArea } = await load("topojson-simplify/src/index.js");
  const codes = new Map(JSON.parse(text("i18n-iso-countries/codes.json")).map(([two, , three]) => [three, two]));
  const atlas = JSON.parse(text("world-atlas/countries-50m.json"));
  const detailed = simplify(presimplify(atlas, sphericalTriangleArea), 2.2e-6);

  const groups = new Map();
  for (const geometry of detailed.objects.countries.geometries) {
    const code = codes.get(geometry.id) ?? JOINED[geometry.properties.name] ?? "";
    if (code !== "AQ") groups.set(code, [...(groups.get(code) ?? []), geometry]);
  }
  // Turned by 11 degrees so that the far east of Russia is not cut off.
  const projection = geoEqualEarth().rotate([-11, 0]).precision(0.2);
  const merged = new Map([...groups].map(([code, parts]) => [code, topojson.merge(detailed, parts)]));
  projection.fitWidth(GRID, { type: "GeometryCollection", geometries: [...merged.values()] });
  const [[, top], [, bottom]] = geoPath(projection).bounds({ type: "GeometryCollection", geometries: [...merged.values()] });

  const projected = (geometry) => {
    const polygons = [];
    let polygon = [], ring = [];
    geoStream(geometry, projection.stream({
      polygonStart() { polygon = []; }, polygonEnd() { polygons.push(polygon); },
      lineStart() { ring = []; }, lineEnd() { ring.push(ring[0]); polygon.push(ring); },
      point(x, y) { ring.push([x, y - top]); },
    }));
    return polygons;
  };
  const box = (rings) => {
    const all = rings.flat();
    const range = (i) => [Math.min(...all.map((p) => p[i])), Math.max(...all.map((p) => p[i]))];
    return [range(0), range(1)];
  };
  const area = (ring) => Math.abs(ring.reduce((sum, [x, y], i) => {
    const [u, v] = ring[(i + 1) % ring.length];
    return sum + x * v - u * y;
  }, 0) / 2);

  // French Guiana is a polygon of France in the atlas: it has a code of its own.
  const shapes = new Map();
  for (const [code, geometry] of merged) {
    for (const polygon of geometry.coordinates) {
      const [lon, lat] = polygon[0][0];
      const guiana = code === "FR" && lon < -50 && lon > -56 && lat > 1 && lat < 7;
      const key = guiana ? "GF" : code;
      shapes.set(key, [...(shapes.get(key) ?? []), polygon]);
    }
  }
  const land = [], dots = [];
  // A dot is a line of no length with round caps: the same size on the screen at every scale. The page's style
  // does not reach into another file, so its look stands in attributes; the colour is inherited.
  const look = `stroke="currentColor" stroke-width="7" stroke-linecap="round" vector-effect="non-scaling-stroke"`;
  const dot = (code, x, y) => dots.push(`<path id="${code}" ${look} d="M${Math.round(x)} ${Math.round(y)}h.1"/>`);
  for (const [code, coordinates] of [...shapes].sort(([a], [b]) => (a < b ? -1 : 1))) {
    // One ring at a time, so that a clipped ring is never taken for a hole of its neighbour.
    const rings = coordinates.flatMap((polygon) => projected({ type: "Polygon", coordinates: polygon }).flat());
    const main = rings.reduce((best, ring) => (area(ring) > area(best) ? ring : best));
    const kept = rings.filter((ring) => ring === main || area(ring) > 6);
    const [[x0, x1], [y0, y1]] = box([main]);
    const d = path([kept]);
    const small = x1 - x0 < DOT_BELOW && y1 - y0 < DOT_BELOW;
    if (small && code) dot(code, (x0 + x1) / 2, (y0 + y1) / 2);
    if (d) land.push(`<path${code && !small ? ` id="${code}"` : ""} d="${d}"/>`);
  }
  for (const [code, place] of Object.entries(POINTS)) {
    const [x, y] = projection(place);
    dot(code, x, y - top);
  }
  const height = Math.ceil(bottom - top);
  console.log("map", GRID, height, "shapes", land.length, "dots", dots.length);
  write("world.svg", `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${GRID} ${height}">\n` +
    `<g id="land">\n${land.join("\n")}\n</g>\n` +
    `${dots.join("\n")}\n</svg>\n`);
}

vendor();
icons();
await brands();
await flags();
await world();

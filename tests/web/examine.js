// What is wrong with the page as it stands: pixels of sideways scroll, text of too little contrast, targets too small.
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const seen = new Map();
  const rgba = (color) => {
    if (!seen.has(color)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      seen.set(color, [r, g, b, a / 255]);
    }
    return seen.get(color);
  };
  const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] + under[i] * (1 - top[3])).concat(1);
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255, 1]);
  };
  const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const ratio = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
  const shown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && element.getClientRects().length > 0;
  const off = (element) => element.closest("[inert], [disabled], [aria-disabled=true], [aria-busy=true], .gone, .sr, .skip");

  const pale = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !shown(element) || off(element) || element.closest("script, title, option")) continue;
    const style = getComputedStyle(element), ground = behind(element);
    // A row's bar lies behind its text as a drawing: the text must stand out from it too.
    const bar = element.closest(".row")?.querySelector(".bar rect");
    const grounds = bar ? [ground, over(rgba(getComputedStyle(bar).fill), ground)] : [ground];
    const ink = rgba(element.closest("svg") ? style.fill : style.color);
    const least = Math.min(...grounds.map((under) => ratio(over(ink, under), under)));
    if (least < 4.5) pale.push(`${least.toFixed(2)} ${walker.currentNode.textContent.trim().slice(0, 30)}`);
  }
  const tiny = [...document.querySelectorAll("a[href], button, summary, input:not([type=hidden]), select, label:has(input)")]
    .filter((element) => shown(element) && !off(element) && !element.closest("svg, p, td, th, .check, .out"))
    .map((element) => [element, element.getBoundingClientRect()])
    .filter(([element, box]) => Math.min(box.width, box.height) < 24 && !(element.matches("input") && element.closest("label")) && box.width > 1)
    .map(([element, box]) => `${Math.round(box.width)}x${Math.round(box.height)} ${element.outerHTML.slice(0, 80)}`);
  return { wide: Math.max(document.scrollingElement.scrollWidth - innerWidth, 0), pale, tiny };
}

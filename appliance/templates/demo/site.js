// What a site's own script does with the tracker: three calls.
const acts = {
  signup: () => appliance.track("Signup", { plan: "free", place: "demo" }),
  purchase: ({ product, price, currency }) =>
    appliance.track("Purchase", { product, items: 1 }, { revenue: { amount: +price, currency } }),
  identify: () => appliance.identify("ada-1815", { name: "Ada", plan: "team" }),
  reset: () => appliance.reset(),
};

const say = (text) => {
  const line = document.createElement("li");
  line.textContent = text;
  document.getElementById("sent").append(line);
  line.scrollIntoView({ block: "nearest" });
};

addEventListener("click", ({ target }) => {
  const button = target.closest("button[data-act]");
  if (button) acts[button.dataset.act](button.dataset);
  const pressed = target.closest("button, main a[target], main a[download]");
  if (pressed) say(pressed.textContent.trim());
});

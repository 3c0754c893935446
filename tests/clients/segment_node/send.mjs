// Calls of a server that has Segment's library: node send.mjs URL KEY '{"user": …, "draft": …, "reader": …, "ids": […]}'
import { Analytics } from "@segment/analytics-node";

const [url, key, names] = process.argv.slice(2);
const { user, draft, reader, ids } = JSON.parse(names);
const errors = [];
const analytics = new Analytics({ writeKey: key, host: url, flushAt: 50, flushInterval: 100, maxRetries: 3 });
analytics.on("error", ({ code, reason }) => errors.push(`${code}: ${reason}`));

const page = {
  url: "https://example.com/shop?utm_source=letter", title: "Shop", referrer: "https://news.example.org/", path: "/shop",
};
analytics.track({
  userId: user, event: "Bought", messageId: ids[0], timestamp: new Date("2025-03-04T05:06:07.089Z"), context: { page },
  properties: { plan: "team", price: 12.5, revenue: 49.9, currency: "EUR", when: new Date(0) },
});
analytics.page({
  userId: user, name: "Guide", category: "Docs", messageId: ids[1], properties: { url: "https://example.com/docs" },
});
analytics.screen({ userId: user, name: "Basket", messageId: ids[2], properties: { items: 2 } });
analytics.identify({ userId: user, traits: { name: "Ann", seats: 3 } });
analytics.group({ userId: user, groupId: "acme", traits: { industry: "roads" } });
analytics.track({ anonymousId: reader, event: "Read", messageId: ids[3] });
analytics.track({ userId: draft, event: "Drafted", messageId: ids[4] });
analytics.alias({ userId: user, previousId: draft });
analytics.identify({ userId: user, traits: { seats: 4 } });
analytics.track({ userId: user, event: "Published", messageId: ids[5] });
await analytics.closeAndFlush({ timeout: 20_000 });
console.log(JSON.stringify(errors));

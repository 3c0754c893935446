"""The catalogue's part for limits, sampling and sources."""

LIMITS = {
    "nav.limits": "Limits",
    "nav.sampling": "Sampling",
    "nav.sources": "Sources",
    "limits.lead": "How much the site may send. What goes beyond is refused, counted, and told to the client.",
    "limits.rate": "Rate limit",
    "limits.rate.hint": "Holds for all clients of the site together.",
    "limits.rate.field": "Requests in any 10 seconds",
    "limits.rate.default": "As the appliance: {n}",
    "limits.rate.default.none": "As the appliance: no limit",
    "limits.rate.about": (
        "Empty: as the appliance is set. 0: no limit. A batch of events is one request. Above it the answer is 429, "
        "which says when to try again."
    ),
    "limits.quota": "Monthly quota",
    "limits.quota.hint": "So many events a calendar month, in the site’s time zone.",
    "limits.quota.used": "{used} of {quota} events in {month}",
    "limits.quota.used.all.one": "{count} event in {month}",
    "limits.quota.used.all.other": "{count} events in {month}",
    "limits.quota.warn": "{share} of the quota is used up.",
    "limits.quota.full": "The quota is used up: events are refused until the month is over, or the quota is raised.",
    "limits.quota.field": "Events a month",
    "limits.quota.none": "No quota",
    "limits.quota.about": (
        "Empty: no quota. Events that were filtered, sampled out or sent twice do not count. A batch is taken up to "
        "the quota, and the rest of it is refused."
    ),
    # Sampling
    "sampling.lead": (
        "Keep a part of the events where there are too many. Each kept event stores its rate; reports estimate by it, "
        "and mark their figures with ≈."
    ),
    "sampling.all": "All events",
    "sampling.all.hint": "Holds unless a source or a rule says otherwise. From now on: what is stored stays.",
    "sampling.strategy": "Which events are kept",
    "sampling.project": "As the site",
    "sampling.project.hint": "Nothing of its own.",
    "sampling.none": "All",
    "sampling.none.hint": "Nothing is left out.",
    "sampling.random": "By chance",
    "sampling.random.hint": "Each event by itself. Visits get holes, and numbers of visitors are lower bounds.",
    "sampling.visitor": "By visitor",
    "sampling.visitor.hint": "All events of a visitor, or none. Visits stay whole, and visitors are estimated too.",
    "sampling.window": "By time",
    "sampling.window.hint": "One stretch of each period, with all that happens in it.",
    "sampling.percent": "Keep, per cent",
    "sampling.percent.hint": "Not looked at where all are kept.",
    "sampling.period": "Period, seconds",
    "sampling.period.hint": "Of sampling by time: 600 keeps 1 minute of every 10 at 10 per cent.",
    "sampling.rules": "By the event’s name",
    "sampling.rules.hint": "The last rule that matches wins, also over sources. An event’s own “sample” wins over all.",
    "sampling.rules.about": (
        "In a name * stands for anything. Page views are called pageview. Rules by time have the period above. "
        "Empty a name to remove its rule; more lines come with saving."
    ),
    "sampling.rule.pattern": "Name of rule {n}",
    "sampling.rule.strategy": "What rule {n} keeps",
    "sampling.rule.percent": "Per cent that rule {n} keeps",
    "sampling.rule.example": "video_*",
    "sampling.head.pattern": "Name",
    "sampling.head.strategy": "Keep",
    "sampling.head.percent": "Per cent",
    # Sources
    "sources.lead": "The parts of your product that send, as events name them. A source appears with its first event.",
    "sources.events.one": "{count} event in 30 days",
    "sources.events.other": "{count} events in 30 days",
    "sources.last": "Last seen {day}",
    "sources.change": "Settings of {name}",
    "sources.off": "Off",
    "sources.all": "All kept",
    "sources.kept.random": "{percent} % by chance",
    "sources.kept.visitor": "{percent} % by visitor",
    "sources.kept.window": "{percent} % by time",
    "sources.none": "No sources yet",
    "sources.none.hint": (
        "Events may say which part of your product they come from: “source”: “ios”. "
        "Each name that comes is listed here."
    ),
    "source.about": "About the source",
    "source.about.hint": "First seen on {day}.",
    "source.description": "Description",
    "source.take": "Take events of this source",
    "source.take.hint": "Switched off, they are dropped and counted as such. What is stored stays.",
    "source.sampling": "Sampling",
    "source.sampling.hint": "Holds for this source in place of the site’s. Rules by name go over it.",
    "source.back": "All sources",
    # Refused events, audit log
    "refused.times": "×{count}",
    "reason.quota": "Monthly quota",
    "reason.source_off": "Source switched off",
}

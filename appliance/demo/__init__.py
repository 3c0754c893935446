"""`appliance demo`: two believable sites with generated traffic, past and live, sent through the public HTTP API.

    world      what a site is, for the generator: pages, sources, events, rhythm
    shop, manual   the two sites
    people     who visits: address, agent, language; always the same for the same seed
    walk       one visit as the events that its browser would have caused
    traffic    all events of one local day, in order of time
    sender     batches to the ingest API, as a server-side SDK sends them
    visitors   the process that sends: the past first, then whatever is due
    stage      account and projects
    site       small pages with the real tracker, at /demo/ of the server that the command starts
    command    the command itself

Everything is drawn from one seed, event ids included, so that sending a day twice adds nothing.
"""

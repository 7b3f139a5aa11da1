"""A Kombo of one's own on localhost, with customers whose jobs change while you watch.

Each integration has two layers: the truth in the customer's ATS, and Kombo's copy of it, which follows only
at a sync or an upstream event. `world` holds both and can be driven by hand, `api` shows Kombo's copy through
Kombo's own endpoints, `webhooks` tells of changes, `life` makes them, `server` puts it on a port.
`own_jobs` is what the customers' jobs look like in the product that advertises them.

Where Kombo is silent the choices are the fields of `behaviour.Behaviour`.
"""

"""Alerts: who is told what, once, when it begins and when it is over.

A source (`alerts.events`) looks at one subject and says what it sees:

    class Source(Protocol):
        name: str                                   # under which its position is kept
        needs_redis: bool                           # it is not asked while Redis is away
        def look(self, look: Look) -> Iterable[Seen | Moment]: ...

- `Seen(kind, exchange, {subject: text})` is all that lasts now of a kind at an exchange (None: of
  the installation). Who was in it before and is no more has ended. What a source does not tell of
  stays as it was: where nothing can be read nothing begins, and nothing ends.
- `Moment(kind, exchange, subject, text, at_ms)` happened, and is told once. With `rule` it is of
  that rule alone, which it was evaluated for; with `is_late` it is written down and told to nobody.
- `look.position(name)` is a dict of the source's own, to change as it likes. It is kept in the
  database in the transaction that writes the alerts, so that each event counts once, wherever a
  process is killed; a look that was in vain leaves it as it was. What is much is kept in a table
  of the source's own, by what it hands to `look.write_with`: signals do so (`alerts.signals`).

A kind (`alerts.kinds`) says in which words people choose it, what its threshold is, and how many
subjects are told in one message. Rules choose among what is seen (`alerts.evaluating.matching`);
what is new becomes an `Alert`, and where its rule has a channel a `Delivery`, which a thread of
that channel sends (`alerts.delivery`).
"""

"""A signature is good once: who has overheard a request cannot send it again.

1. ACS3 has a nonce in what is signed, so the same signature never comes twice from an honest client.
2. FC's own signature has a time in whole seconds and no nonce: two equal calls in one second have the same one, and so
   has what an HTTP library sends again by itself. So it is good for a minute after it was first seen, instead of for
   the half hour that clocks may differ by.
3. Signed URLs are made to be used again until they expire.

What was seen is kept while its time would be accepted. There is a bound; beyond it the oldest are forgotten, which only
who has a key can bring about.
"""

from __future__ import annotations

from pyfc.errors import SignatureUsed

_KEPT = 1800.0
"""Seconds in which a time is accepted: 15 minutes to both sides."""
_AGAIN = 60.0
_MOST = 262_144


class Once:
    """The signatures that one server has accepted."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._seen: dict[int, float] = {}
        """When each was seen first, by its hash; the oldest first."""

    def check(self, signature: str, now: float, *, has_nonce: bool) -> None:
        """Remember a signature that is right. Raises SignatureUsed if it was used before."""
        self._forget(now)
        first = self._seen.get(key := hash(signature))
        if first is None:
            self._seen[key] = now
        elif has_nonce or abs(now - first) > _AGAIN:
            raise SignatureUsed

    def _forget(self, now: float) -> None:
        while self._seen:
            oldest = next(iter(self._seen))
            if abs(now - self._seen[oldest]) <= _KEPT and len(self._seen) < self._most:
                return
            del self._seen[oldest]

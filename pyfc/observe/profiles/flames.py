"""A flame graph as SVG: a picture without a script, so that a name in it is nothing but a name."""

from __future__ import annotations

from html import escape

from pyfc.observe.profiles.speedscope import Frame, Stacks

_WIDTH, _MARGIN, _ROW, _HEAD = 1200, 10, 17, 48
_LETTER = 6.6
"""Pixels of a character."""
_NARROWEST = 0.3
"""Pixels: what is narrower is left out."""
_ALLOWED = frozenset("\t\n\r")


class _Box:
    """A frame with what it has called."""

    def __init__(self, name: str, place: str) -> None:
        self.name = name
        self.place = place
        self.seconds = 0.0
        self.called: dict[int, _Box] = {}


def svg(stacks: Stacks, head: str) -> str:
    """The flame graph of a profile: the outermost function at the top, as wide as it was seen. With several threads a
    thread is the outermost.
    """
    root, depth = _tree(stacks)
    height = _HEAD + (depth + 1) * _ROW + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'font-family="monospace" font-size="11">',
        f"<title>{_text(head)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{_MARGIN}" y="22" font-size="14">{_text(head)}</text>',
        f'<text x="{_MARGIN}" y="38" fill="#666666">{root.seconds:.2f} s seen running; hover for times</text>',
    ]
    scale = (_WIDTH - 2 * _MARGIN) / root.seconds if root.seconds else 0.0
    waiting: list[tuple[_Box, float, int]] = [(root, float(_MARGIN), 0)]
    while waiting:
        box, left, row = waiting.pop()
        width = box.seconds * scale
        if width < _NARROWEST:
            continue
        parts.append(_drawn(box, left, row, width, root.seconds))
        for each in box.called.values():
            waiting.append((each, left, row + 1))
            left += each.seconds * scale
    return "\n".join([*parts, "</svg>", ""])


def _tree(stacks: Stacks) -> tuple[_Box, int]:
    """The root, and how deep it goes."""
    root = _Box("all", "")
    deepest = 0
    for number, thread in enumerate(stacks.threads):
        top = root
        if len(stacks.threads) > 1:
            top = root.called[-1 - number] = _Box(f"thread {thread.name}", "")
        for stack, weight in zip(thread.samples, thread.weights, strict=True):
            root.seconds += weight
            box = top
            if top is not root:
                top.seconds += weight
            for each in stack:
                box = box.called.setdefault(each, _box(stacks.frames[each]))
                box.seconds += weight
            deepest = max(deepest, len(stack) + (top is not root))
    return root, deepest


def _box(frame: Frame) -> _Box:
    return _Box(frame.name, frame.place)


def _drawn(box: _Box, left: float, row: int, width: float, whole: float) -> str:
    top = _HEAD + row * _ROW
    told = f"{box.name} ({box.place})" if box.place else box.name
    room = int((width - 6) / _LETTER)
    name = box.name if len(box.name) <= room else box.name[: max(room - 1, 0)] + "…"
    label = f'<text x="{left + 3:.1f}" y="{top + 12}">{_text(name)}</text>' if room > 2 else ""
    share = f"{box.seconds:.2f} s, {100 * box.seconds / whole:.1f}%"
    return (
        f"<g><title>{_text(told)}: {share}</title>"
        f'<rect x="{left:.1f}" y="{top}" width="{max(width - 0.5, 0.3):.1f}" height="{_ROW - 1}" '
        f'fill="{_color(box.name)}" rx="2"/>{label}</g>'
    )


def _color(name: str) -> str:
    """Warm, and the same for the same name."""
    seed = sum(map(ord, name))
    return f"rgb({205 + seed % 50},{90 + seed * 7 % 130},{seed * 3 % 55})"


def _text(name: str) -> str:
    """A name as text of XML, which has no place for some characters."""
    return escape("".join(each if _can_be_told(each) else "\ufffd" for each in name))


def _can_be_told(character: str) -> bool:
    number = ord(character)
    return (number >= 0x20 or character in _ALLOWED) and not 0xD800 <= number <= 0xDFFF and number < 0xFFFE

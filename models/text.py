"""Canonical text: what varies between two lines of one statement is masked, what matters is kept.

A line cache sits in front of the model. Its key is (app, message bytes without ASCII digits,
`significant_slots`), so masking here must depend as little as possible on how many digits there
are: `eth0` becomes `eth`, any dotted quad an `<ip>`, any run of digits a `<num>`. The law (equal
keys give equal canonical text) is measured in tests/models/test_text.py. Pairs of lines that must
stay apart or fall together are in tests/models/test_text_pairs.py.
"""

from __future__ import annotations

import re
from typing import Final

from models import slots

MAX_TOKENS: Final = 64
"""Blank-separated tokens kept; the rest of a longer line adds nothing to its template."""
_MAX_TOKEN_CHARS: Final = 160
_MAX_LONG_CHARS: Final = 1024
_MAX_TEXT_CHARS: Final = 512
_CACHE_TOKENS: Final = 1 << 15

# Digits of a significant slot wait as private-use characters, so that no mask sees them.
_PROTECT: Final = {ord("0") + i: 0xE000 + i for i in range(10)}
_RESTORE: Final = {0xE000 + i: ord("0") + i for i in range(10)}
_PROTECTED: Final = re.compile("[\ue000-\ue009]+")
_PROTECTED_PORT: Final = "\ue00a"

# The stamp a program writes itself in front of its line, with the process ids some add.
_OWN_STAMP: Final = re.compile(
    r"\s*\[?\s*(?:"
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?"
    r"(?:(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d+|\d+ [A-Z][a-z]{2})"
    r"(?: \d+)? \d+:\d+:\d+(?:[.,]\d+)?(?: \d+)?"
    r"|\d+[-/.]\d+[-/.]\d+[T ]\d+:\d+:\d+(?:[.,]\d+)?(?:Z| ?[+-]\d+:?\d+)?"
    r"|\d+/[A-Z][a-z]{2}/\d+:\d+:\d+:\d+(?: [+-]\d+)?"
    r"|\d+-\d+ \d+:\d+:\d+\.\d+ +\d+ +\d+(?= )"
    r"|\d{6} \d{6} \d+(?= )"
    r"|\d+:\d+:\d+(?:[.,]\d+)?(?=[\] ])"
    r"|\d+\.\d{3,9}(?=[\] ])"
    r")\]?:?(?: - )?\s*",
    re.ASCII,
)

# A point in time whose parts are set apart by blanks, anywhere in a line:
_LONG_TIME: Final = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    r"[a-z]{0,6},? +(?:\d+ +)?(?:(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6} +)?"
    r"\d+,?(?: +\d{4},?)? +\d+:\d+(?::\d+)?(?:[.,]\d+)?"
    r"(?: [AP]M)?(?: [A-Z]{3,4}\b)?(?: [+-]\d{4}\b| \d{4}\b)?",
    re.ASCII,
)

# What varies though it is made of letters. A request's path, referer and agent:
_REQUEST: Final = re.compile(
    r'"([A-Z]{3,10}) [^"]* (HTTP/\d(?:\.\d)?" \d{3} )(?:\d+|-)(?: "[^"]*" "[^"]*")?'
)
# The name of a user, but for root, whose name matters:
_NOT_USER: Final = r"(?!root\b|unknown\b|invalid\b)[\w.@$+-]+"
_USER: Final = re.compile(
    r"((?:nvalid|llegal|authenticating|for|of|by|from) user ['\"]?"
    r"|Accepted [\w/-]+ for |Failed [\w/-]+ for |\) by (?=\w+\(uid)"
    r"|(?:user|logname|acct|uname|username)=[\"'<]?|\"user(?:name)?\": ?\"|role \""
    r"|Account Name:\s+"
    r"|User ['\"]?(?=[\w.@$+-]+['\"]? (?:from|logged|login|has|was|is|not)\b))" + _NOT_USER
)
_LEADING_USER: Final = re.compile(
    r"(\s*(?=[\w.-]+ : (?:TTY=|user NOT|\d+ inc))|\((?=[\w.-]+\) [A-Z]{3}))" + _NOT_USER
)
_COMMAND: Final = re.compile(r"(?<=; COMMAND=).*")
# The queue id that a mail server begins its line with:
_QUEUE_ID: Final = re.compile(
    r"^(?:[0-9A-F]{6,15}|(?=\D*\d)[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,20})(?=: )"
)

_H: Final = r"[0-9A-Fa-f]{1,4}"
_MASK: Final = re.compile(
    r"(?P<url>[A-Za-z][A-Za-z0-9+.-]{1,12}://(?:\[[\w:.]+\])?[^\s\"'<>)\]}|]+)"
    r"|(?P<email>(?<![\w.+=%-])[\w.+=%-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<host>(?<![\w.-])(?:[A-Za-z0-9_-]+\.)+(?:"
    r"com|net|org|edu|gov|de|ru|cn|fr|uk|jp|br|pl|nl|it|io|local|lan|internal|localdomain|arpa"
    r"|(?:com|net|org|edu|gov|gob|ac|co|go|ne|or)\.[a-z]{2}"
    r"|(?:eu|tw|kr|mx|au|ca|ch|cz|es|se|fi|dk|ro|hu|tr|ua|za|ar|cl|vn|hk|nz|gr|bg|sk|lt|lv|ee"
    r"|info|biz)(?!\())"
    r"(?![\w-]|[./]\w))"
    r"|(?P<time>\d+-\d+-\d+T\d+:\d+(?::\d+)?(?:[.,]\d+)?(?:Z|[+-]\d+:?\d+)?"
    r"|\d+/[A-Z][a-z]{2}/\d+:\d+:\d+:\d+|\d+(?P<sep>[-/])\d+(?P=sep)\d+(?![\w-])"
    r"|(?<![\w:])\d+:\d+:\d+(?:[.,]\d+)?(?![\w:]))"
    r"|(?P<uuid>(?<!\w)[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?!\w))"
    r"|(?P<mac>(?<![\w:])(?:[0-9A-Fa-f]{2}[:-]){5,}[0-9A-Fa-f]{2}(?!\w))"
    rf"|(?P<ip>(?<![\w.])\d+\.\d+\.\d+\.\d+(?:[:/]\d+)?(?![\w.]*\.\w)"
    rf"|(?<!\w)(?<![0-9A-Fa-f:]:)(?:(?:{_H}:){{7}}{_H}(?::\d+)?"
    rf"|(?:{_H}(?::{_H}){{0,6}})?::(?:{_H}(?::{_H}){{0,6}})?)(?:%\w+)?(?!\w|:[\w:]))"
    r"|(?P<path>(?<![\w.)/<>\]\ue000-\ue009])[.~]{0,2}/(?!\d+\.\d+\.)[\w.~%@+$-][^\s\"'<>()\[\]{}|,;:&]*"
    r"|\b[A-Za-z]:\\[^\s\"'<>|,;]+"
    r"|(?<![\w./-])[A-Za-z][\w-]*(?:\.\w+)+/\.?[A-Za-z][\w.$/:-]*\w)"
    r"|(?P<hex>0[xX][0-9A-Fa-f]+\b|(?<![\w:])[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7](?!\w)"
    r"|(?<=[A-Za-z]\{)[0-9a-f]{5,8}(?![\w.-])|(?<=[A-Za-z]@)[0-9a-f]{5,8}(?![\w.-]))"
    r"|(?P<id>(?<=\w-)[bcdfghjklmnpqrstvwxz2456789]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}(?![\w-]))"
    r"|(?P<b64>(?<=SHA256:)[A-Za-z0-9+/]{40,}=?|(?<![\w+/=])(?=[A-Za-z+/]*\d+[A-Za-z+/]+\d)(?=[A-Z\d+/]*[a-z])(?=[a-z\d+/]*[A-Z])"
    r"[A-Za-z0-9+/]{20,}={0,2}(?!\w))"
    r"|(?P<dur>(?<![\w\[])(?:\d+d)?(?:\d+(?:\.\d+)?(?:[nuµm]?s|m|h|min|sec))+(?![\w-]))"
    r"|(?P<size>(?<![\w\[])\d+(?:\.\d+)?(?:[kKMGT]i?(?:[Bb](?:it)?(?:/s|ps)?)?|bytes)(?!\w))"
    r"|_(?P<part>-?\d+(?:_(?:[mr]_)?\d+)*)(?![A-Za-z\d])"
    r"|(?P<num>(?:(?<![\w()\[\]>}-])-)?(?:(?<![\w])v?\d+\.\d+(?:[\w.+~-]*\w)?"
    r"|\d+(?:[.,]\d+)*(?![A-Za-z\d])))"
    r"|(?P<word>(?<![A-Za-z])[A-Za-z]*\d[A-Za-z\d]*)",
    re.ASCII,
)
# What blanks took apart: a number and its unit, a date and its time of day, a list of one kind.
_JOINED: Final = re.compile(
    r"<num> (?:([kKMGT]i?[Bb](?:it)?(?:/s|ps)?|B|[Bb]ytes?)"
    r"|[nuµm]?s|m?secs?|[Mm]illis|(?:milli)?seconds?|minutes?|mins?|hours?)(?![\w/-])"
    r"|(<time>)(?:,? (?:<time>|[AP]M\b|UTC\b|GMT\b))+"
    r"|(<[a-z0-9]+>)([^<>]{1,32}\3)\4+",
    re.ASCII,
)
_HEX_WORD: Final = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_LONG_HEX: Final = re.compile(r"(?<![A-Za-z])(?:[a-f]{8,}|[A-F]{8,})(?![A-Za-z])")
_DIGITS: Final = re.compile(r"\d+", re.ASCII)


def canonical(message: str) -> str:
    """The text of a message with what varies masked: `<num> <hex> <ip> <path> <time> …`.

    Blanks are collapsed, the program's own leading stamp is dropped, digits inside names go
    (`eth0` → `eth`), significant slots stay. At most `MAX_TOKENS` blank-separated tokens.
    """
    own_stamp = _OWN_STAMP.match(message)
    if own_stamp is not None:
        message = message[own_stamp.end() :]
    message = _QUEUE_ID.sub("<hex>", message)
    if "; COMMAND=" in message:
        message = _COMMAND.sub("<command>", message)
    leading = _LEADING_USER.match(message)
    if leading is not None:
        message = f"{leading[1]}<user>{message[leading.end() :]}"
    if (
        "user" in message
        or "ser " in message
        or "Name:" in message
        or " for " in message
        or "=" in message
    ):
        message = _USER.sub(r"\1<user>", message)
    if ":" in message:
        message = _LONG_TIME.sub("<time>", message)
    if " HTTP/" in message:
        message = _REQUEST.sub(r'"\1 <path> \2<num>', message)
    family = slots.family_of(message.encode("utf-8", "replace"))
    kept = 0
    if family is not None:
        protect = _protect_port if family.slots is slots.Slots.PORTS else _protect
        message, kept = family.text.subn(protect, message)
        if family.slots is slots.Slots.NUMBERS_AND_LEVELS:
            message, levels = slots.PER_CENT.subn(_protect_level, message, slots.MAX_LEVELS)
            kept += levels
    get = _token_cache.get
    text = " ".join(
        [get(t) or _mask_token(t) for t in message.split(None, MAX_TOKENS)[:MAX_TOKENS]]
    )
    if "<" in text:
        text = _JOINED.sub(_join, text)
        # A peer is written by its name or by its address as the resolver's luck has it.
        text = text.replace("rhost=<host>", "rhost=<ip>")
    text = text[:_MAX_TEXT_CHARS]
    if kept:
        text = _PROTECTED.sub(_restore, text).replace(_PROTECTED_PORT, "<port>")
    return text


_token_cache: dict[str, str] = {}


def _protect(match: re.Match[str]) -> str:
    code = match[match.lastindex or 0]
    return match[0].removesuffix(code) + code.translate(_PROTECT)


def _protect_port(match: re.Match[str]) -> str:
    port = match[1]
    if port is None:
        return _protect(match)
    begin, end = match.start(1) - match.start(), match.end(1) - match.start()
    known = port.encode("ascii") in slots.WELL_KNOWN_PORTS
    text = match[0]
    return text[:begin] + (port.translate(_PROTECT) if known else _PROTECTED_PORT) + text[end:]


def _protect_level(match: re.Match[str]) -> str:
    return str(slots.level(match[1])).translate(_PROTECT)


def _restore(match: re.Match[str]) -> str:
    return match[0].translate(_RESTORE)


def _mask_token(token: str) -> str:
    if len(token) > _MAX_TOKEN_CHARS:  # cut after masking, where digits no longer count
        return _MASK.sub(_mask, token[:_MAX_LONG_CHARS])[:_MAX_TOKEN_CHARS]
    if token.isalpha():
        masked = token if len(token) < 8 else _LONG_HEX.sub("<hex>", token)
    else:
        masked = _LONG_HEX.sub("<hex>", _MASK.sub(_mask, token))
    if len(_token_cache) >= _CACHE_TOKENS:
        _token_cache.clear()
    _token_cache[token] = masked
    return masked


def _mask(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if kind == "word":
        return _mask_word(match[0])
    return "_<num>" if kind == "part" else f"<{kind}>"


def _join(match: re.Match[str]) -> str:
    if match[2] or match[3]:
        return match[2] or match[3]
    return "<size>" if match[1] else "<dur>"


def _mask_word(word: str) -> str:
    letters = _DIGITS.sub("", word)
    if not letters:
        return "<num>"
    if (len(letters) > 1 or len(word) >= 8) and _HEX_WORD.fullmatch(word):
        return "<hex>"
    # Many changes between letters and digits: an identifier made by a machine, not a name.
    runs = 2 * len(_DIGITS.findall(word)) - word[0].isdigit() - word[-1].isdigit()
    if runs >= 4 or (runs >= 3 and len(letters) >= 4):
        return "<id>"
    return letters

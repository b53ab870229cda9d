"""From the developer's word to a syslog severity: one table for every API, and the exceptions.

The same word means the same number everywhere (0 emerg … 7 debug), whatever a program's own
syslog output would make of it; EXCEPTIONS lists the packages whose words mean something else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

EMERG, ALERT, CRIT, ERR, WARNING, NOTICE, INFO, DEBUG = range(8)

WORDS: Mapping[str, int] = {
    **dict.fromkeys(("emerg", "emergency"), EMERG),
    "alert": ALERT,
    **dict.fromkeys(("crit", "critical", "fatal", "panic"), CRIT),
    **dict.fromkeys(("err", "error", "exception", "failure", "severe"), ERR),
    **dict.fromkeys(("warn", "warning", "deprecated"), WARNING),
    **dict.fromkeys(("notice", "important"), NOTICE),
    **dict.fromkeys(("info", "information", "informational", "inf"), INFO),
    **dict.fromkeys(
        ("debug", "dbg", "trace", "verbose", "excessive", "dump", "msgdump", "vdbg"),
        DEBUG,
    ),
    **dict.fromkeys(("fine", "finer", "finest"), DEBUG),
}
"""Level words, lower case."""


@dataclass(frozen=True, slots=True)
class Exceptions:
    """Where one package departs from WORDS."""

    functions: Mapping[str, int] = field(default_factory=dict)
    """Log functions whose names say nothing, or something else."""
    constants: Mapping[str, int] = field(default_factory=dict)
    """Level arguments likewise."""
    verbosity: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Functions whose first argument is a number: the severity of 0, 1, 2 …, the last for more."""
    ignored: str = r"(?!)"
    """Functions that end in a level word and are no log statements here."""
    tools: str = r"(?!)"
    """Paths of command-line tools, whose messages go to a terminal and not to a log."""


_KERNEL = Exceptions(
    functions={
        "panic": EMERG,
        "pr_devel": DEBUG,
        **dict.fromkeys(("WARN", "WARN_ONCE", "WARN_RATELIMIT", "dev_WARN", "drm_WARN"), WARNING),
        **dict.fromkeys(("dev_WARN_ONCE", "drm_WARN_ONCE"), WARNING),
        **dict.fromkeys(("dprintk", "DPRINTK", "DP", "drm_dbg_kms", "drm_dbg_core"), DEBUG),
    },
    constants={
        "VFS": ERR,
        "FYI": DEBUG,
        "NOISY": DEBUG,
        "ql_log_fatal": CRIT,
        "ql_log_warn": WARNING,
        "ql_log_info": INFO,
    },
)
_POSTGRES = Exceptions(
    constants={
        **dict.fromkeys(("PANIC", "FATAL"), CRIT),
        **dict.fromkeys(("ERROR", "COMMERROR"), ERR),
        **dict.fromkeys(("LOG", "LOG_SERVER_ONLY"), INFO),
        "WARNING_CLIENT_ONLY": WARNING,
    },
    ignored=r"^err(?:msg|detail|hint|context|code)",
    tools=r"^src/(?:bin|interfaces|tools)/",
)
_POWERDNS = Exceptions(constants={f"Logger::{w}": n for w, n in (("Urgent", EMERG),)})

EXCEPTIONS: Mapping[str, Exceptions] = {
    "linux": _KERNEL,
    "xen": _KERNEL,
    "postgresql-15": _POSTGRES,
    "pgpool2": _POSTGRES,
    "pdns": _POWERDNS,
    "samba": Exceptions(
        verbosity={
            f"{name}{more}": (ERR, WARNING, NOTICE, NOTICE, INFO, INFO, DEBUG)
            for name in ("DEBUG", "DEBUGADD", "DEBUGC")
            for more in ("", "L")
        },
    ),
    "multipath-tools": Exceptions(
        verbosity={"condlog": (CRIT, ERR, WARNING, NOTICE, INFO, DEBUG)},
    ),
    "postfix": Exceptions(functions={"msg_panic": CRIT, "msg_fatal": CRIT}),
    "openssh": Exceptions(
        functions={
            **dict.fromkeys(("logit", "do_log2", "verbose", "logit_f", "verbose_f"), INFO),
            **dict.fromkeys(("verbose_fr", "logit_fr", "verbose_r", "logit_r"), INFO),
        },
    ),
    "slurm-wlm": Exceptions(functions={"verbose": INFO}, constants={"LOG_LEVEL_VERBOSE": INFO}),
    "apache2": Exceptions(constants={"APLOG_STARTUP": NOTICE}),
    "redis": Exceptions(constants={"LL_VERBOSE": INFO}),
    "exim4": Exceptions(
        functions={"debug_printf": DEBUG, "debug_printf_indent": DEBUG},
        constants={
            "LOG_PANIC_DIE": CRIT,
            "LOG_PANIC": ERR,
            "LOG_REJECT": NOTICE,
            "LOG_MAIN": INFO,
        },
    ),
    "openldap": Exceptions(
        constants={
            "LDAP_DEBUG_ANY": ERR,
            "LDAP_DEBUG_STATS": INFO,
            "LDAP_DEBUG_STATS2": INFO,
        },
    ),
    "unbound": Exceptions(
        constants={
            **dict.fromkeys(("VERB_OPS", "VERB_DETAIL"), INFO),
            **dict.fromkeys(("VERB_QUERY", "VERB_ALGO", "VERB_CLIENT"), DEBUG),
        },
        functions={"fatal_exit": CRIT},
    ),
    "openvpn": Exceptions(
        functions={"dmsg": DEBUG},
        constants={
            **dict.fromkeys(("M_FATAL", "M_ERR", "M_ERRNO"), CRIT),
            **dict.fromkeys(("M_USAGE", "M_NONFATAL"), ERR),
            "M_WARN": WARNING,
            "M_INFO": INFO,
        },
    ),
    "gpsd": Exceptions(
        constants={
            "LOG_SHOUT": NOTICE,
            **dict.fromkeys(("LOG_CLIENT", "LOG_INF"), INFO),
            **dict.fromkeys(("LOG_PROG", "LOG_IO", "LOG_DATA", "LOG_SPIN", "LOG_RAW"), DEBUG),
        },
    ),
    "xorg-server": Exceptions(
        constants=dict.fromkeys(("X_PROBED", "X_CONFIG", "X_DEFAULT"), INFO),
    ),
    "libvirt": Exceptions(
        functions={"virReportError": ERR, "virReportSystemError": ERR},
    ),
    "rclone": Exceptions(functions={"Logf": NOTICE}),
    "ansible-core": Exceptions(functions={"v" * n: DEBUG for n in range(1, 7)}),
    "twisted": Exceptions(functions={"msg": INFO}),
    "rsyslog": Exceptions(ignored=r"^(?:parser_errmsg|yyerror)$"),
    "kamailio": Exceptions(functions={"LM_BUG": CRIT}),
    "freeradius": Exceptions(
        functions={
            f"{name}{more}": severity
            for name, severity in (
                ("RDEBUG", DEBUG),
                ("RIDEBUG", INFO),
                ("REDEBUG", ERR),
                ("RWDEBUG", WARNING),
                ("RERROR", ERR),
                ("RWARN", WARNING),
                ("RINFO", INFO),
            )
            for more in ("", "2", "3", "4")
        },
    ),
    "proftpd-dfsg": Exceptions(functions={"pr_trace_msg": DEBUG}),
    "pulseaudio": Exceptions(functions={"pa_log": ERR}),
    "apcupsd": Exceptions(functions={"Dmsg": DEBUG}),
    "nfs-utils": Exceptions(constants={"D_GENERAL": DEBUG, "D_CALL": DEBUG, "D_PARSE": DEBUG}),
    "minidlna": Exceptions(constants={"L_GENERAL": DEBUG}),
    "nagios4": Exceptions(functions={"log_debug_info": DEBUG}),
}

_WORD = "|".join(sorted(WORDS, key=len, reverse=True))
_NAMED = "|".join(
    sorted(WORDS.keys() - {"dump", "msgdump", "inf", "important", "excessive"}, key=len)[::-1]
)
"""The words that a log function's name may end in; dump_ and *_dump() print structures."""
_ENDING = (
    r"(?:_?(?:fr|f|r|ln|w|x|v|va|k|S|l|c|n|t|m|ctx|cf|no|msg|log|logs|mesg|errno|str|once|rl"
    r"|ratelimited|ratelimit|probe|report|depth|func|line|time|enter|exit|printk?|printf|fmt|l1|u"
    r"|Depth|Context|w?ith\w+|openssl|full|core|kms|dp|driver|atomic|prime|lease|vbl|mtl"
    r"|mtr|drv|mmu|bus|hw|fw|fwlog|hdr|syntax|indent|tl|hdrs|nofile|nomem|oom|\d+))*"
)
_FUNCTION = re.compile(
    rf"(?:^|_|(?-i:(?<=[a-z0-9])(?=[A-Z]))|(?:^|_)[a-z]{{0,2}}(?:log|pr|msg)|^[a-z]?(?:log|LOG))"
    rf"(?P<word>{_NAMED}){_ENDING}$",
    re.IGNORECASE,
)
_NO_LOG = re.compile(
    r"^_*(?:set|get|parse|is|has|have|to|from|new|free|read|send|reply|find|make|create|clear|reset"
    r"|build|register|raise|throw|assert|expect|check|test|str|init|fill|copy|append|load|save"
    r"|store|write_to|format|json|xml|lua[L_]?|luaL|yy|git|sqlite\d?|http_send|proto|ret|return"
    r"|perl|py|PyErr|addReply|decode|encode|show|query|fetch|update|dump|need|want|usage|resp|add|Perl|cprintf)"
    r"(?:_|(?=[A-Z]))|(?:^|_)(?:new|set|lua|json|raise)(?:_|L_)|^(?!.*(?:[Ll]og|[Mm]sg|[Pp]rint|[Rr]eport|[Ww]arn))[A-Z][a-z]\w*(?:Error|Exception|Failure|Info|Information)$|^(?:runtime|range|logic|domain|length|system)_error$|(?:Set|Reply|Get|New|Parse)Err|(?:strerror|perror|ferror|dlerror|gai_strerror|set_?err(?:or)?)$",
)
_CONSTANT = re.compile(
    rf"(?:(?:[A-Z0-9_]*(?:LOGG?|LOGS|LEVEL|LVL|MSG|KERN|LOGLEVEL|LOGGER|SYSLOG|PRIO|TYPE|DBGLVL"
    rf"|REPORT|VERB)_+(?:[A-Z0-9]+_+)?)|(?:L|LL|M|D|P|G|X|T|DBG)_+)?"
    rf"(?P<word>{_WORD.upper()})\d*(?:_(?:TYPE|NF|NV|ONLY))?"
    rf"|[A-Z0-9_]*LOG[A-Z]*_(?:LEVEL_)?(?P<early>DEBUG|TRACE|VERBOSE)(?:_\w+)?"
    rf"|(?:\w+::)?(?:[Ll]og(?:ger|level|Level)?(?:::)?|eLog|LEVEL_|Level\.|MLevel\.|LogLevel\.)"
    rf"(?P<mixed>{'|'.join(w.capitalize() for w in WORDS)}|{_WORD.upper()})"
)


def of_function(name: str, package: str) -> tuple[int, str] | None:
    """Severity and level word of a log function by its name; None if it is none."""
    own = EXCEPTIONS.get(package, Exceptions())
    if name in own.functions:
        return own.functions[name], name
    found = _FUNCTION.search(name)
    if found is None or _NO_LOG.search(name) or re.search(own.ignored, name):
        return None
    return WORDS[found["word"].lower()], found["word"]


def of_argument(argument: str, package: str) -> tuple[int, str] | None:
    """Severity of a level argument such as LOG_DAEMON | LOG_ERR; None if it is none."""
    own = EXCEPTIONS.get(package, Exceptions())
    for name in reversed(re.findall(r"[A-Za-z_][\w.:]*", argument)):
        if name in own.constants:
            return own.constants[name], name
        found = _CONSTANT.fullmatch(name)
        if found is not None:
            word = found["word"] or found["early"] or found["mixed"]
            return WORDS[word.lower()], name
    return None


def is_tool(path: str, package: str) -> bool:
    """Whether a file belongs to a command-line tool beside the daemon."""
    own = EXCEPTIONS.get(package)
    return own is not None and bool(re.search(own.tools, path))


def of_verbosity(name: str, number: str, package: str) -> tuple[int, str] | None:
    """Severity of `DEBUG(3, …)` and its like, where the package numbers its levels."""
    scale = EXCEPTIONS.get(package, Exceptions()).verbosity.get(name)
    if scale is None or not number.isdecimal():
        return None
    return scale[min(int(number), len(scale) - 1)], f"{name}({number})"

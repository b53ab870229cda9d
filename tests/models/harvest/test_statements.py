"""Log statements out of source text: each API's way of saying how bad it is."""

from __future__ import annotations

import pytest

from models.training.harvest.python_logs import python_statements
from models.training.harvest.statements import statements
from models.training.harvest.trees import SourceFile

CRIT, ERR, WARNING, NOTICE, INFO, DEBUG = range(2, 8)


def found(text: str, language: str, package: str = "clockd") -> list[tuple[int, str]]:
    reader = python_statements if language == "python" else statements
    return [(s.severity, s.template) for s in reader(SourceFile("src/a", language, text), package)]


C_CALLS = [
    ('syslog(LOG_DAEMON | LOG_ERR, "cannot open %s: %m", path);', ERR, "cannot open %s: %m"),
    ('log_warn("clock went back by %d s\\n", delta);', WARNING, "clock went back by %d s"),
    ('dev_err_probe(&pdev->dev, ret, "no reset line\\n");', ERR, "no reset line"),
    ('printk(KERN_NOTICE "ring " "buffer full\\n");', NOTICE, "ring buffer full"),
    (
        'ngx_log_error(NGX_LOG_CRIT, log, err, "lost track of \\"%V\\"", s);',
        CRIT,
        'lost track of "%V"',
    ),
    ('ngx_log_debug1(NGX_LOG_DEBUG_HTTP, log, 0, "timer set: %M", t);', DEBUG, "timer set: %M"),
    ('zlog_info(_("peer %s is up"), name);', INFO, "peer %s is up"),
    ('log_info("sent %" PRIu64 " bytes in all", n);', INFO, "sent %lu bytes in all"),
    ('ngx_log_error(A_LOG_ERR, l, e, unlink_n " of %s failed", p);', ERR, "%s of %s failed"),
    ('log_error("tab\\tand   blank \\\n continue");', ERR, None),
    ('LogError(errno, RS_RET_ERR, "queue of %s is gone", q);', ERR, "queue of %s is gone"),
    ('ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, APLOGNO(01) "no key");', ERR, "no key"),
    ('vlog_debugf("one %s\\n"\n   "two", x);', DEBUG, "one %s two"),
]


@pytest.mark.parametrize(("call", "severity", "template"), C_CALLS)
def test_c_calls(call: str, severity: int, template: str | None) -> None:
    text = f"int main(void)\n{{\n\tif (x) {{\n\t\t{call}\n\t}}\n}}\n"
    expected = [] if template is None else [(severity, template)]
    assert found(text, "c") == expected


@pytest.mark.parametrize(
    "text",
    [
        'set_error("the door is open");',
        'throw runtime_error("the door is open");',
        'ValidationError("the door is open");',
        'g_error_new(G_FILE_ERROR, code, "the door is open");',
        'hex_dump("the door is open", data, n);',
        'json_error(reply, "the door is open");',
        '/* log_err("the door is open"); */',
        '// log_err("the door is open");',
        '#define OOPS(x) log_err("the door is open %d", x)',
        '#define OOPS(x) \\\n  log_err("the door is open %d", x)',
        'log_err("%s: %d", name, n);',
        'log_err("gone");',
        "void log_err(const char *format, ...);",
        'puts("log_err(the door is open)");',
        'char quote = \'"\'; f("log_err(", "door is open");',
    ],
)
def test_what_is_no_log_statement(text: str) -> None:
    assert found(text, "c") == []


@pytest.mark.parametrize(
    ("package", "call", "severity"),
    [
        ("samba", 'DEBUG(0, ("share %s is lost\\n", s));', ERR),
        ("samba", 'DEBUG(3, ("share %s is lost\\n", s));', NOTICE),
        ("samba", 'DEBUG(10, ("share %s is lost\\n", s));', DEBUG),
        ("multipath-tools", 'condlog(2, "share %s is lost", s);', WARNING),
        ("postgresql-15", 'elog(LOG, "share %s is lost", s);', INFO),
        ("postgresql-15", 'ereport(PANIC, (errcode(C), errmsg("share %s is lost", s)));', CRIT),
        ("postgresql-15", 'ereport(ERROR, errcode(C), errmsg("share %s is lost", s));', ERR),
        ("openssh", 'verbose("share %s is lost", s);', INFO),
        ("postfix", 'msg_panic("share %s is lost", s);', CRIT),
        ("redis", 'serverLog(LL_VERBOSE, "share %s is lost", s);', INFO),
        ("exim4", 'log_write(0, LOG_MAIN|LOG_REJECT, "share %s is lost", s);', NOTICE),
        ("openldap", 'Debug(LDAP_DEBUG_ANY, "share %s is lost\\n", s);', ERR),
        ("openldap", 'Debug(LDAP_DEBUG_TRACE, "share %s is lost\\n", s);', DEBUG),
        ("unbound", 'verbose(VERB_OPS, "share %s is lost", s);', INFO),
        ("unbound", 'verbose(VERB_ALGO, "share %s is lost", s);', DEBUG),
        ("openvpn", 'msg(M_NONFATAL, "share %s is lost", s);', ERR),
        ("gpsd", 'GPSD_LOG(LOG_PROG, errout, "share %s is lost", s);', DEBUG),
        ("linux", 'panic("share %s is lost", s);', 0),
        ("linux", 'cifs_dbg(VFS, "share %s is lost", s);', ERR),
        ("linux", 'cifs_dbg(FYI, "share %s is lost", s);', DEBUG),
        ("linux", 'WARN_ONCE(x > 1, "share %s is lost", s);', WARNING),
        ("net-snmp", 'DEBUGMSGTL(("store:load", "share %s is lost", s));', DEBUG),
        ("xorg-server", 'xf86DrvMsg(i, X_PROBED, "share %s is lost", s);', INFO),
        ("libvirt", 'virReportError(VIR_E, _("share %s is lost"), s);', ERR),
    ],
)
def test_packages_with_words_of_their_own(package: str, call: str, severity: int) -> None:
    assert found(call, "c", package) == [(severity, "share %s is lost")]


def test_c_plus_plus_streams() -> None:
    text = """
        Log(LogWarning, "ApiListener")
            << "No answer from '" << peer->GetName() << "' for " << n << " seconds.";
        g_log << Logger::Error;
        ib::error() << "Page " << id << " is corrupt";
    """
    assert found(text, "c++", "icinga2") == [
        (WARNING, "No answer from '{}' for {} seconds."),
        (ERR, "Page {} is corrupt"),
    ]


def test_go() -> None:
    text = """
        log.Printf("left alone because it has no level")
        logrus.WithError(err).Warnf("cannot stop container %q", id)
        klog.V(2).Infof("synced node %s", node)
        klog.V(5).Infof("node %s seen again", node)
        s.logger.Error(`raw "text" here`, zap.Error(err))
        level.Info(logger).Log("msg", "head loaded again", "took", d)
        l.Debugln("index of", folder, "took", d)
        return fmt.Errorf("not a log line: %w", err)
        t.Fatalf("not a log line %d", n)
    """
    assert found(text, "go") == [
        (WARNING, "cannot stop container %q"),
        (INFO, "synced node %s"),
        (DEBUG, "node %s seen again"),
        (ERR, 'raw "text" here'),
        (INFO, "head loaded again"),
        (DEBUG, "index of %v took %v"),
    ]


def test_java() -> None:
    text = """
        LOG.warn("Pool " + name + " is empty (" + pool.size() + ")", e);
        logger.log(Level.SEVERE, "Cannot bind {0}", address);
        log.info("started at {}", url);
        logger.finest("entering the loop");
        logger.config("using defaults for everything");
        response.error("not a log line");
        // log.info("not a log line");
    """
    assert found(text, "java") == [
        (WARNING, "Pool {} is empty ({})"),
        (ERR, "Cannot bind {0}"),
        (INFO, "started at {}"),
        (DEBUG, "entering the loop"),
        (INFO, "using defaults for everything"),
    ]


def test_python() -> None:
    text = """
logger.error("cannot read %s: %s", path, exc)
LOG.warning(_("disk %(name)s is full") % {"name": name})
log.info(f"{count} jobs left on {host.name}")
logging.log(logging.CRITICAL, "no space " "left")
self.log.exception("worker {} died".format(pid))
log.debug("one " + name + " two")
syslog.syslog(syslog.LOG_ALERT, "battery is low")
log.err(failure, "peer is gone")
form.error("not a log line")
math.log(2, "not a log line")
"""
    assert found(text, "python") == [
        (ERR, "cannot read %s: %s"),
        (WARNING, "disk %(name)s is full"),
        (INFO, "{count} jobs left on {host.name}"),
        (CRIT, "no space left"),
        (ERR, "worker {} died"),
        (DEBUG, "one {} two"),
        (1, "battery is low"),
        (ERR, "peer is gone"),
    ]


def test_python_that_does_not_parse_gives_nothing() -> None:
    assert found('print "log.error(1)"\nlog.error("disk is full")', "python") == []


def test_arguments_stand_in_the_order_of_the_placeholders() -> None:
    text = 'log_err("%s of %" PRIu32 " " UNIT " at %s", first(a, b), n, second);'
    [statement] = statements(SourceFile("a.c", "c", text), "clockd")
    assert statement.template == "%s of %u %s at %s"
    assert statement.arguments == ("first(a, b)", "n", "UNIT", "second")

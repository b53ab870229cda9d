"""Words and their features: what logs and code are made of before any weight."""

import subprocess
import sys

from models.tokens import (
    MAX_WORDS,
    TAUGHT_FACILITIES,
    app_word,
    bag,
    bags,
    dressed,
    facility_word,
    features,
    has_words,
    known_app,
    stem,
    words,
)
from models.training.vocabulary import FACILITIES, facility_of
from tests.support import ROOT


def text_words(text: str) -> list[str]:
    return words("", -1, text)[2:]


def test_a_word_is_known_in_any_dress() -> None:
    plain, *others = (
        features(dressed(word, after))
        for word, after in (("error", " "), ("Error", " "), ("ERROR", " "), ("error", ": "))
    )
    for other in others:
        assert len(other) == len(plain)
        assert other != plain
        assert set(plain[:-3]) == set(other[:-3])  # letters
        assert plain[-1] != other[-1]  # case and marks together
    assert len({tuple(x) for x in (plain, *others)}) == 4
    assert set(plain[:-3]) == set(features("error"))  # as code has it, without a dress


def test_words_carry_their_case_and_their_marks() -> None:
    assert text_words("Link eth down: <num>%") == [
        dressed("Link", " "),
        dressed("eth", " "),
        dressed("down", ": "),
        dressed("<num>", ""),
        dressed("%", ""),
    ]
    assert len(set(text_words("Len LEN len len= len:"))) == 5


def test_words_end_at_camel_and_snake_borders() -> None:
    def cores(text: str) -> list[str]:
        return [word.split("\x01")[0] for word in text_words(text)]

    assert cores("openHTTPSocket max_retry_count") == [
        "open", "http", "socket", "max", "retry", "count",
    ]  # fmt: skip
    assert cores("Журнал переполнен") == ["журнал", "переполнен"]
    assert "".join(cores("Größe")) == "größe"
    assert cores("") == []
    assert cores("--- ::: ...") == []


def test_the_first_feature_tells_words_apart() -> None:
    vocabulary = [a + b for a in ("un", "re", "", "out") for b in ("load", "loads", "loading")]
    vocabulary += ["<num>", "<ip>", app_word("sshd"), app_word(""), facility_word(-1)]
    vocabulary += [facility_word(number) for number in TAUGHT_FACILITIES]
    assert len({features(word)[0] for word in vocabulary}) == len(vocabulary)
    long = "x" * 30  # longer than what n-grams are made of
    assert features(long + "a")[0] != features(long + "b")[0]


def test_names_and_masks_share_nothing_by_spelling() -> None:
    assert len(features(app_word("sshd"))) == len(features(facility_word(10))) == 1
    assert set(features(app_word("sshd"))).isdisjoint(features("sshd"))
    assert set(features(facility_word(0))).isdisjoint(features(facility_word(10)))
    assert set(features("<num>")).isdisjoint(features("num"))
    assert set(features("loading")) & set(features("loader"))  # other words do


def test_every_line_is_led_by_its_app_and_facility_and_is_cut() -> None:
    assert words("SSHD", 4, "") == [app_word("sshd"), facility_word(4)]
    assert words("", -1, "a b")[:2] == [app_word(""), facility_word(-1)]
    assert len(words("", -1, "word " * 100)) == MAX_WORDS


def test_a_facility_that_is_never_taught_is_unknown() -> None:
    """So a firewall that logs to local4 is not judged by a word that means nothing."""
    taught = {facility_of(app) for app in (*FACILITIES, "anything else")}
    assert taught == TAUGHT_FACILITIES
    unknown = facility_word(-1)
    assert {facility_word(number) for number in range(24)} == {
        facility_word(number) for number in taught
    } | {unknown}
    assert facility_word(20) == facility_word(facility_of("")) == unknown


def test_an_app_is_known_by_its_stem() -> None:
    known = {"sshd", "postfix", "org.a(b"}
    assert known_app("SSHD", known) == known_app("sshd(pam_unix)", known) == "sshd"
    assert known_app("postfix/smtpd", known) == "postfix"
    assert known_app("org.a(b", known) == "org.a(b"  # the whole name goes first
    assert known_app("nosuch", known) == known_app("", known) == ""


def test_a_bag_holds_identifiers_whole_and_in_pieces() -> None:
    found = {word.word: word for word in bag("def parseHeader(line):\n  return parse(line, line)")}
    assert set(found) == {"def", "parseheader", "parse", "header", "line", "return"}
    assert {name: word.times for name, word in found.items() if word.times > 1} == {
        "parse": 2,
        "line": 3,
    }
    assert {n for n, w in found.items() if w.in_header} == {
        "def",
        "parseheader",
        "parse",
        "header",
    }
    for nothing in ("", " ,;() ___ ", "-- ++ ٣"):
        assert bag(nothing) == []
        assert not has_words(nothing)
    for something in ("_a_", "1", "ж", "(Z)"):
        assert bag(something)
        assert has_words(something)


def test_without_a_bracket_the_header_is_the_beginning() -> None:
    found = {word.word: word.in_header for word in bag("class Socket:\n" + "x = 1\n" * 20 + "end")}
    assert found["socket"]
    assert not found["end"]
    late = bag("a " * 150 + "f(x)")  # a bracket this far away ends no header
    assert not next(word for word in late if word.word == "f").in_header


def test_a_stem_is_shared_by_inflections() -> None:
    assert len({stem(w) for w in ("connect", "connects", "connected", "connecting")}) == 1
    assert stem("stopped") == stem("stop") == "stop"
    assert [stem(w) for w in ("ls", "red", "bed", "is")] == ["ls", "red", "bed", "is"]


def test_bags_lay_the_features_of_words_one_after_the_other() -> None:
    vocabulary = ["link", "<num>", app_word("sshd")]
    flat, offsets = bags(vocabulary)
    ends = [*offsets[1:], len(flat)]
    assert [flat[a:b].tolist() for a, b in zip(offsets, ends, strict=True)] == list(
        map(features, vocabulary)
    )
    assert all(0 <= feature < 1 << 32 for feature in flat)
    assert [len(x) for x in bags([])] == [0, 0]


def test_hashes_never_change() -> None:
    """Trained weights hang on these numbers."""
    assert features("failed")[:3] == [2073106744, 665017830, 3676461065]
    assert features(dressed("Failed", ": "))[-3:] == [2256451132, 2802107704, 3537398655]
    assert features(app_word("sshd")) == [249850504]
    assert features(facility_word(4)) == [1381729480]
    assert len(features("failed")) == 2 + 6 + 5 + 4
    assert len(features("<ip>")) == 1


def test_features_are_the_same_in_another_process() -> None:
    code = "from models.tokens import features; print(features('größe'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(features("größe"))

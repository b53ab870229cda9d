"""The warnings of a training come when it goes wrong, once, and not when it goes well."""

from __future__ import annotations

from collections.abc import Callable

from models.redflags import WINDOW, RedFlags, identical


def watched(losses: Callable[[float], dict[str, float]], steps: int = 4 * WINDOW) -> list[str]:
    flags = RedFlags()
    return [text for i in range(steps) for text in flags.saw(losses(i / steps))]


def test_a_training_that_goes_well_is_left_alone() -> None:
    assert not watched(
        lambda t: {"reconstruction": 3 - 2.7 * t, "epps-pulley": 8 - 7 * t, "ode": 0.3 - 0.29 * t}
    )


def test_each_red_flag_is_raised_once() -> None:
    plateau = watched(lambda t: {"reconstruction": 3.0, "epps-pulley": 1.0, "ode": 1e-4})
    assert len(plateau) == 1
    assert "reconstruction stands at 3.00" in plateau[0]
    growing = watched(lambda t: {"reconstruction": 0.2, "epps-pulley": 2 + 40 * t, "ode": 1e-4})
    assert len(growing) == 1
    assert "Epps–Pulley grows" in growing[0]
    stuck = watched(lambda t: {"reconstruction": 0.2, "epps-pulley": 1.0, "ode": 0.5})
    assert len(stuck) == 1
    assert "ODE's error is stuck" in stuck[0]


def test_a_flag_that_passed_is_raised_again() -> None:
    flags = RedFlags()
    said: list[str] = []
    for value in (3.0, 0.2, 3.0):
        for _ in range(3 * WINDOW):
            said += flags.saw({"reconstruction": value})
    assert len(said) == 2


def test_identical_samples_are_told() -> None:
    assert "2 different" in (identical(["a", "a", "a", "b"]) or "")
    assert identical(["a", "b", "c", "d"]) is None
    assert identical(["a", "a"]) is None

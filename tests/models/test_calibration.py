import numpy as np
import pytest

from models.calibration import Calibration


def test_formula_with_ties() -> None:
    calibration = Calibration([1.0, 2.0, 2.0, 5.0])
    p = calibration.p_values(np.array([0.0, 2.0, 3.0, 5.0, 6.0]))
    np.testing.assert_allclose(p, np.array([5, 4, 2, 2, 1]) / 5)


def test_p_values_are_uniform_while_scores_are_exchangeable() -> None:
    rng = np.random.default_rng(0)
    rejected = np.zeros(3)
    levels = np.array([0.05, 0.1, 0.5])
    for _ in range(400):
        scores = rng.gumbel(size=100).astype(np.float32)
        p = Calibration(scores[:99]).p_values(scores[99:])
        rejected += p <= levels
    assert (rejected / 400 <= levels + 3 * np.sqrt(levels * (1 - levels) / 400)).all()
    assert (rejected / 400 >= levels - 3 * np.sqrt(levels * (1 - levels) / 400) - 0.01).all()


def test_asking_does_not_change_the_answer_and_updating_does() -> None:
    calibration = Calibration([1.0, 2.0, 3.0])
    first = calibration.p_values([10.0])
    assert calibration.p_values([10.0]) == first
    calibration.update([20.0, 30.0])
    assert calibration.p_values([10.0]) > first


def test_the_window_slides_and_forgets_the_reference() -> None:
    calibration = Calibration(np.arange(50), window=100)
    for start in range(0, 500, 7):
        calibration.update(1000.0 + np.arange(start, start + 7))
        assert len(calibration) <= 100
    assert calibration.p_values([999.0]) == 1.0  # all that is left is above
    assert calibration.p_values([1450.0]) < 1.0


def test_more_new_scores_than_the_window_keeps_the_last() -> None:
    calibration = Calibration([], window=10)
    calibration.update(np.arange(1000))
    assert calibration.p_values([990.0]) == 1.0
    assert calibration.p_values([991.0]) == pytest.approx(10 / 11)


def test_without_any_past_nothing_is_unusual() -> None:
    assert Calibration([]).p_values([1e9]).tolist() == [1.0]


def test_scores_that_are_no_numbers_neither_enter_nor_alarm() -> None:
    calibration = Calibration([1.0, 2.0])
    calibration.update([np.nan, np.inf])
    assert len(calibration) == 2
    assert calibration.p_values([np.nan]).tolist() == [1.0]
    assert calibration.p_values([np.inf]) == pytest.approx(1 / 3)

import pytest
import torch

from models import precision
from models.checkpoint import Checkpoint
from models.inference import Engine
from models.precision import choose, probe


@pytest.mark.parametrize(("times", "expected"), [((1.0, 2.0), "bf16"), ((2.0, 1.0), "fp32")])
def test_auto_takes_what_the_probe_found_faster(
    times: tuple[float, float],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    small_checkpoint: Checkpoint,
) -> None:
    monkeypatch.setattr(precision, "probe", lambda width, inner: times)
    engine = Engine(small_checkpoint)
    assert engine.dtype == expected
    computes = small_checkpoint.model.encoder.blocks[0].get_submodule("up").weight.dtype
    assert computes == (torch.bfloat16 if expected == "bf16" else torch.float32)


def test_the_probe_times_once_a_process_and_finds_two_times() -> None:
    first = probe(32, 48)
    assert first is probe(32, 48)
    assert min(first) > 0
    assert choose("auto", 32, 48).name == ("bf16" if first[0] <= first[1] else "fp32")


def test_a_wish_is_followed_and_a_wrong_name_refused() -> None:
    assert choose("bf16", 32, 48).torch_dtype is torch.bfloat16
    assert choose("fp32", 32, 48).torch_dtype is torch.float32
    with pytest.raises(ValueError, match="fp16"):
        choose("fp16", 32, 48)  # type: ignore[arg-type]  # what the test is about

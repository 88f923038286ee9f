from collections.abc import Sequence

import onnxruntime
import pytest

from actreel.project import libraries
from actreel.training import gpu
from actreel.training.gpu import CPU, CUDA, capabilities, encoder_providers, gpus, precision_of

COMPILED = ["TensorrtExecutionProvider", CUDA, CPU]


def test_frames_are_encoded_on_a_gpu_only_where_there_is_one_that_onnx_runtime_can_use(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert encoder_providers(COMPILED, has_gpu=False) == [CPU]
    assert encoder_providers([CPU], has_gpu=False) == [CPU]
    assert not caplog.records
    assert encoder_providers(COMPILED, has_gpu=True) == [(CUDA, {"use_tf32": "0"}), CPU]
    assert not caplog.records
    assert encoder_providers([CPU], has_gpu=True) == [CPU]
    assert "make setup GPU=1" in caplog.text


@pytest.mark.parametrize(
    ("found", "policy"),
    [
        ([], "float32"),
        ([(6, 1)], "float32"),
        ([(7, 0)], "mixed_float16"),
        ([(7, 5), (8, 6)], "mixed_float16"),
        ([(8, 0), (9, 0)], "mixed_bfloat16"),
        ([(8, 0), (0, 0)], "float32"),
    ],
)
def test_the_weakest_gpu_decides_on_the_precision(found: Sequence[tuple[int, int]], policy: str) -> None:
    assert precision_of("auto", found) == policy
    for asked in ("float32", "mixed_bfloat16", "mixed_float16"):
        assert precision_of(asked, found) == asked


def test_without_a_gpu_everything_is_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    if gpus():
        pytest.skip("there is a GPU")
    assert capabilities() == []
    opened = []

    def session(model: str, options: object, providers: Sequence[object]) -> str:
        opened.append((model, providers))
        return "session"

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: COMPILED)
    assert gpu.open_encoder("encoder.onnx", onnxruntime.SessionOptions()) == "session"
    assert opened == [("encoder.onnx", [CPU])]


def test_a_gpu_that_onnx_runtime_cannot_open_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Session:
        def __init__(self, model: str, options: object, providers: Sequence[object]) -> None:
            assert len(providers) == 2

        def get_providers(self) -> list[str]:
            return [CPU]

    loaded = []
    monkeypatch.setattr(gpu, "gpus", lambda: ["a GPU"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: COMPILED)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: loaded.append(True))
    gpu.open_encoder("encoder.onnx", onnxruntime.SessionOptions())
    assert loaded
    assert "frames are encoded on the CPU" in caplog.text


def test_the_doctor_finds_no_fault_in_having_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert libraries.gpu().ok
    monkeypatch.setattr(gpu, "gpus", lambda: ["GPU:0"])
    found = libraries.gpu()  # this ONNX Runtime is the one for the CPU
    assert (found.ok, found.needed, found.fix) == (False, False, "make setup GPU=1")

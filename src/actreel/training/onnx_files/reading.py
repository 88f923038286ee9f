"""Reads an ONNX file that a user brings, and refuses in a sentence what cannot be used as an encoder.

`onnx` parses the file here; nothing of it runs before `actreel.training.onnx_files.wrapping` tries it out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path

import onnx
from onnx import external_data_helper

from actreel.errors import ModelError
from actreel.training.onnx_files.settings import Dims, EncoderSettings, read_settings, shape_in_words

KNOWN_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
"""Operators that ONNX Runtime brings along; any other domain needs a library of somebody's code."""

MOST_BYTES = 2**31 - 2**20
"""Protocol buffers hold less than 2 GiB, with the head and the arithmetic on pixels."""

FLOATS = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.FLOAT16: "float16"}


@dataclass(frozen=True)
class EncoderFile:
    """An ONNX file that may be an encoder: it has the right input and output, and was not run yet.

    Attributes:
        path: The file.
        model: Its content, with the weights.
        settings: How frames become its input.
        sha256: Of the file, and of the files of weights beside it.
    """

    path: Path
    model: onnx.ModelProto
    settings: EncoderSettings
    sha256: str

    @property
    def input(self) -> onnx.ValueInfoProto:
        """Its only input that is no weight."""
        (taken,) = inputs_of(self.model)
        return taken

    @property
    def output(self) -> onnx.ValueInfoProto:
        """The output that becomes the feature vector."""
        return _chosen_output(self.path, self.model, self.settings)

    @cached_property
    def parameters(self) -> int:
        """Numbers in its weights."""
        return num_parameters(self.model)


def num_parameters(model: onnx.ModelProto) -> int:
    """Numbers in a model's weights."""
    return sum(prod(tensor.dims) for tensor in model.graph.initializer)


def read_encoder(path: Path) -> EncoderFile:
    """Reads and checks an ONNX file and its settings.

    Raises:
        ModelError: It is missing, damaged or too large, needs operators that ONNX Runtime does not have, has not
            exactly one input of pictures or clips, or its settings are missing or do not fit.
    """
    model, sha256 = _load(path)
    _check_operators(path, model)
    inputs = inputs_of(model)
    if len(inputs) != 1:
        raise ModelError(
            f"An ONNX encoder must have one input, pictures or clips. '{path.name}' has {len(inputs)}: "
            f"{', '.join(each.name for each in inputs) or 'none'}. Export the part of the network that takes pictures "
            "only, such as a vision model without its text model."
        )
    dims, kind = dims_of(inputs[0]), inputs[0].type.tensor_type.elem_type
    if kind not in FLOATS:
        received = onnx.TensorProto.DataType.Name(kind).lower()
        raise ModelError(
            f"An ONNX encoder's input must be float32 or float16. '{path.name}' takes {received}. Export it without "
            "its preprocessing, which Actreel does by range, mean and std."
        )
    if len(dims) not in (4, 5):
        raise ModelError(
            f"An ONNX encoder's input must have 4 axes (pictures) or 5 (clips). That of '{path.name}' is "
            f"{shape_in_words(dims)}."
        )
    properties = {each.key: each.value for each in model.metadata_props}
    encoder = EncoderFile(path, model, read_settings(path, properties, dims), sha256)
    _check_output(encoder)
    return encoder


def _load(path: Path) -> tuple[onnx.ModelProto, str]:
    """The model with its weights, and the digest of all its files."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        if path.stat().st_size > MOST_BYTES:
            raise _too_large(path)
        model = onnx.load(path, load_external_data=False)
        if not model.graph.node:
            raise ValueError("it has no graph")
    except ModelError:
        raise
    except OSError as error:
        raise ModelError(
            f"With model.encoder 'onnx', model.weights must be an ONNX file that can be read. Received: '{path}' "
            f"({error.strerror}). Try: dvc exp run -S model.encoder=onnx -S model.weights=/path/to/encoder.onnx"
        ) from error
    except Exception as error:  # protobuf's, which differs between its implementations
        raise ModelError(
            f"With model.encoder 'onnx', model.weights must be an ONNX file. Received: '{path}' ({error}). Export it "
            "again."
        ) from error
    beside = _files_of_weights(path, model)
    if beside:
        if path.stat().st_size + sum(each.stat().st_size for each in beside) > MOST_BYTES:
            raise _too_large(path)
        for weights in beside:
            with weights.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
        try:
            onnx.load_external_data_for_model(model, str(path.parent))
        except Exception as error:  # onnx's checker, and numpy's where a file is cut off
            raise ModelError(f"The weights beside '{path.name}' cannot be read: {error}. Export it again.") from error
    return model, digest.hexdigest()


def _too_large(path: Path) -> ModelError:
    return ModelError(
        f"An ONNX encoder must be below 2 GB with its weights. Received: '{path.name}'. Export it in float16, or a "
        "smaller one."
    )


def _files_of_weights(path: Path, model: onnx.ModelProto) -> list[Path]:
    """The files beside the model that hold its weights, each once.

    Raises:
        ModelError: One is elsewhere, or missing.
    """
    names = {
        entry.value
        for tensor in _tensors(model)
        if external_data_helper.uses_external_data(tensor)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    files = []
    for name in sorted(names):
        file = path.parent / name
        if Path(name).name != name or file.is_symlink():
            raise ModelError(
                f"The weights of an ONNX encoder must lie in its own folder, and be no link. '{path.name}' names "
                f"'{name[:200]}'. Save it as one file: onnx.save(onnx.load('{path.name}'), 'encoder.onnx')"
            )
        if not file.is_file():
            raise ModelError(
                f"'{path.name}' keeps its weights in '{name[:200]}', which is not beside it. Copy both to one folder."
            )
        files.append(file)
    return files


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    for graph in _graphs(model.graph):
        yield from graph.initializer
        for node in graph.node:
            yield from _attribute_tensors(node)
    for function in model.functions:
        for node in function.node:
            yield from _attribute_tensors(node)


def _attribute_tensors(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and those inside its loops and branches."""
    yield graph
    yield from _inner(graph.node)


def _inner(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.GraphProto]:
    for node in nodes:
        for attribute in node.attribute:
            for inside in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                yield from _graphs(inside)


def _check_operators(path: Path, model: onnx.ModelProto) -> None:
    known = {*KNOWN_DOMAINS, *(function.domain for function in model.functions)}
    bodies = [model.graph.node, *(function.node for function in model.functions)]
    nodes = [node for body in bodies for node in [*body, *(each for graph in _inner(body) for each in graph.node)]]
    foreign = sorted({f"{node.domain}.{node.op_type}" for node in nodes if node.domain not in known})
    if foreign:
        raise ModelError(
            f"An ONNX encoder must consist of operators that ONNX Runtime has. '{path.name}' needs "
            f"{', '.join(foreign[:5])}{' and more' if len(foreign) > 5 else ''}. Export it without custom operators."
        )


def inputs_of(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """The inputs that are no weights."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [each for each in model.graph.input if each.name not in weights]


def dims_of(value: onnx.ValueInfoProto) -> Dims:
    """The shape of an input or output."""
    return [dim.dim_value or None for dim in value.type.tensor_type.shape.dim]


def _chosen_output(path: Path, model: onnx.ModelProto, settings: EncoderSettings) -> onnx.ValueInfoProto:
    outputs: dict[str, onnx.ValueInfoProto] = {each.name: each for each in model.graph.output}
    told = ", ".join(f"{name} {shape_in_words(dims_of(each))}" for name, each in outputs.items())
    where = f"'{path.with_suffix('.yaml')}'"
    if settings.output is not None:
        if settings.output not in outputs:
            raise ModelError(
                f"The setting 'output' must name an output of '{path.name}'. Received: '{settings.output}'. It has: "
                f"{told}. Correct {where}."
            )
        return outputs[settings.output]
    vectors = [each for each in outputs.values() if len(dims_of(each)) == 2]
    if len(vectors) == 1:
        return vectors[0]
    if len(outputs) == 1:
        return next(iter(outputs.values()))
    raise ModelError(
        f"Which of its outputs is the feature vector must be clear. '{path.name}' has {told}. Write "
        f"'output: {(vectors or list(outputs.values()))[0].name}', or another of them, to {where}."
    )


def _check_output(encoder: EncoderFile) -> None:
    dims, kind = dims_of(encoder.output), encoder.output.type.tensor_type.elem_type
    told = f"The output '{encoder.output.name}' of '{encoder.path.name}' is {shape_in_words(dims)}"
    where = f"'{encoder.path.with_suffix('.yaml')}'"
    if kind not in FLOATS:
        raise ModelError(f"{told} of {onnx.TensorProto.DataType.Name(kind).lower()}; it must be float32 or float16.")
    if len(dims) > 2 and encoder.settings.pool is None:
        choices = "'pool: mean' averages places"
        if len(dims) == 3:
            choices = (
                "'pool: mean' averages tokens, 'pool: first' takes the first one (the class token, if there is one)"
            )
        raise ModelError(f"{told}, and not one vector for each input. Write how to make one to {where}: {choices}.")
    if len(dims) < 2 or len(dims) > 5 or (encoder.settings.pool == "first" and len(dims) != 3):
        pool = f" with pool '{encoder.settings.pool}'" if encoder.settings.pool else ""
        raise ModelError(f"{told}{pool}; it must be (N, features), (N, tokens, features) or maps of features.")

"""graph_of: the graph of a PyTorch module, for TensorBoard and ``write_graph``.

The module is run once on the example, and every operation that PyTorch's dispatcher sees on the way becomes
a node; so whatever the module can run, loops and branches too, can be shown, as it went for this example.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .. import _leaves, train
from ..errors import Error, InvalidArgumentError
from ..graph import Graph, GraphDef, Tensor

__all__ = ["graph_of"]

# An attribute of a node is no place for more than that.
_LIST_MAX = 64


def graph_of(module: torch.nn.Module, example_inputs: Any, example_kwargs: Mapping[str, Any] | None = None) -> GraphDef:
    """The graph of a module as it runs on an example.

    Parameters and buffers become variables "ROOT/encoder/0/weight" with dtype and shape, ROOT being the
    module's class; arguments placeholders; operations nodes named after them ("aten.addmm"), in the scope of
    the module that called them, with the shapes of their outputs.  TensorBoard shows it; TensorFlow reads the
    message, but cannot run it.

    The module is as it was: it runs without gradients, on copies of its buffers, and the random numbers are
    drawn again.

    Args:
        module: in the mode, training or evaluation, that is to be shown.
        example_inputs: a tensor, or a tuple or list of the positional arguments.
        example_kwargs: arguments by name.

    Returns:
        What ``train.write_graph`` and ``FileWriter.add_graph`` take.

    Raises:
        InvalidArgumentError: for what is no module, and when it cannot run on the example; the error of the
            module is the cause.
    """
    if not isinstance(module, torch.nn.Module):
        raise InvalidArgumentError(f"graph_of: a {type(module).__name__} is no torch.nn.Module")
    args = tuple(example_inputs) if isinstance(example_inputs, tuple | list) else (example_inputs,)
    kwargs = dict(example_kwargs or {})
    recorder = _Recorder(module)
    recorder.add_arguments(module, args, kwargs)
    buffers = {name: buffer.detach().clone() for name, buffer in module.named_buffers()}
    for name, buffer in buffers.items():
        recorder.add_variable(name, buffer, is_trainable=False)
    devices = {tensor.device for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, torch.Tensor)}
    cuda = [device for device in devices if device.type == "cuda"]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=cuda), recorder.scopes(module), recorder:
            result = torch.func.functional_call(module, buffers, args, kwargs)
    except Error:
        raise
    except Exception as error:  # whatever the module's code raises
        raise InvalidArgumentError(f"graph_of: {type(module).__name__} does not run on the example: {error}") from error
    recorder.add_results(result)
    # An exported graph has the shapes of outputs.
    return train.export_meta_graph(graph=recorder.graph).graph_def


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Makes a node of each operation that is dispatched within it."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.graph = Graph()
        self._root = type(module).__name__
        self._scope = [self._root]
        self._calls: dict[str, int] = {}
        # Of each tensor, by its id, the output that it is; the tensors are kept, so that no other one gets
        # their ids.
        self._outputs: dict[int, Tensor] = {}
        self._kept: list[torch.Tensor] = []
        for name, parameter in module.named_parameters():
            self.add_variable(name, parameter, is_trainable=parameter.requires_grad)

    def add_variable(self, name: str, tensor: torch.Tensor, is_trainable: bool) -> None:
        dtype = _dtype(tensor)
        if not dtype:
            raise InvalidArgumentError(f"graph_of: {name}: a variable cannot have dtype {tensor.dtype}")
        native = self.graph.native.add_variable(
            f"{self._root}/{name.replace('.', '/')}",
            dtype,
            list(tensor.shape),
            "",
            is_trainable,
            True,
            [],
            "",
            [],
            [],
        )
        self._remember(tensor, Tensor(self.graph, native.output, dtype, tuple(tensor.shape)))

    def add_arguments(self, module: torch.nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        try:
            bound = inspect.signature(module.forward).bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidArgumentError(f"graph_of: {self._root}: {error}") from None
        for name, value in bound.arguments.items():
            for tensor in _tensors(value):
                dtype = _dtype(tensor)
                if not dtype:
                    continue  # it becomes a node when it is used
                shape = tuple(tensor.shape)
                native = self.graph.native.add_placeholder(name, dtype, list(shape))
                self._remember(tensor, Tensor(self.graph, native, dtype, shape))

    def add_results(self, result: Any) -> None:
        for tensor in _tensors(result):
            self._remember(tensor, self._add_node("output", "Identity", [self._of(tensor)], {}, [tensor]))

    @contextmanager
    def scopes(self, module: torch.nn.Module) -> Iterator[None]:
        """Within it, nodes are in the scope of the module that is running."""
        with ExitStack() as hooks:
            for path, child in module.named_modules():
                if path:
                    hooks.callback(child.register_forward_pre_hook(self._entering(path)).remove)
                    hooks.callback(child.register_forward_hook(self._leave, always_call=True).remove)
            yield

    def _entering(self, path: str) -> Any:
        def enter(*_: Any) -> None:
            scope = f"{self._root}/{path.replace('.', '/')}"
            count = self._calls.get(scope, 0)
            self._calls[scope] = count + 1
            # The second run of one module is a scope of its own.
            self._scope.append(f"{scope}_{count}" if count else scope)

        return enter

    def _leave(self, *_: Any) -> None:
        self._scope.pop()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        inputs = [self._of(tensor) for tensor in _tensors((args, kwargs or {}))]
        result = func(*args, **(kwargs or {}))
        results = list(_tensors(result))
        namespace, _, name = func._schema.name.rpartition("::")
        attrs = _attrs(func._schema, args, kwargs or {})
        first = self._add_node(name, f"{namespace}.{name}", inputs, attrs, results)
        for i, tensor in enumerate(results):
            self._remember(tensor, first if i == 0 else self.graph.output_of(first, i))
        return result

    def _of(self, tensor: torch.Tensor) -> Tensor:
        """The output that a tensor is; one that comes from nowhere is a constant of the module's code."""
        if id(tensor) not in self._outputs:
            self._remember(tensor, self._add_node("constant", "torch.Tensor", [], {}, [tensor]))
        return self._outputs[id(tensor)]

    def _add_node(
        self,
        name: str,
        op: str,
        inputs: list[Tensor],
        attrs: dict[str, tuple[str, Any]],
        results: list[torch.Tensor],
    ) -> Tensor:
        attrs = attrs | {"_output_shapes": ("shapes", [list(tensor.shape) for tensor in results])}
        dtype = _dtype(results[0]) if results else ""
        if dtype:
            attrs["T"] = ("dtype", dtype)
        scope = "" if name == "output" else f"{self._scope[-1]}/"
        with self.graph.name_scope(scope):
            return self.graph.create_op(op, inputs, name=name.lstrip("_"), attrs=attrs)

    def _remember(self, tensor: torch.Tensor, output: Tensor) -> None:
        self._outputs[id(tensor)] = output
        self._kept.append(tensor)


def _tensors(tree: Any) -> Iterator[torch.Tensor]:
    for leaf in tree_leaves(tree):
        if isinstance(leaf, torch.Tensor):
            yield leaf


def _dtype(tensor: torch.Tensor) -> str:
    """TensorFlow's name; "" where it has none."""
    name = str(tensor.dtype).removeprefix("torch.")
    return name if name in _leaves.TORCH_DTYPES else ""


def _attrs(schema: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """The arguments that are no tensors, by the names of the operation's parameters."""
    named = dict(zip((argument.name for argument in schema.arguments), args, strict=False)) | dict(kwargs)
    attrs: dict[str, tuple[str, Any]] = {}
    for name, value in named.items():
        if isinstance(value, bool):
            attrs[name] = ("bool", value)
        elif isinstance(value, int) and -(2**63) <= value < 2**63:
            attrs[name] = ("int", value)
        elif isinstance(value, float):
            attrs[name] = ("float", value)
        elif (
            isinstance(value, list | tuple)
            and value
            and len(value) <= _LIST_MAX
            and all(type(item) is int for item in value)
        ):
            attrs[name] = ("ints", list(value))
        elif isinstance(value, str | torch.dtype | torch.device):
            attrs[name] = ("bytes", str(value).encode())
    return attrs

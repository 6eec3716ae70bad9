"""Waiting before an optimizer of PyTorch changes what a save still reads, wherever its step is called from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle


def wait_before_steps(wait: Callable[[], None]) -> RemovableHandle:
    """From here on a step of any optimizer calls `wait` before it changes anything.

    Of any: trainers wrap and replace theirs, some step within the backward pass, and what is registered for the
    process is in no optimizer's pickle or copy.

    Returns:
        A handle; its ``remove()`` ends this.
    """

    def before(optimizer: Optimizer, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
        wait()
        # A closure runs within the step, and may have begun a save when it returns.  Lightning's always is one.
        if callable(kwargs.get("closure")):
            return args, {**kwargs, "closure": _waiting(kwargs["closure"], wait)}
        if len(args) > 1 and callable(args[1]):
            return (args[0], _waiting(args[1], wait), *args[2:]), kwargs
        return None

    return register_optimizer_step_pre_hook(before)


def _waiting(closure: Callable[..., Any], wait: Callable[[], None]) -> Callable[..., Any]:
    def waiting(*args: Any, **kwargs: Any) -> Any:
        result = closure(*args, **kwargs)
        wait()
        return result

    return waiting

"""Models of which only the shapes of the weights are wanted."""

from collections.abc import Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["WithoutValues"]


class WithoutValues(TorchFunctionMode):
    """Leave out the values of new tensors, within ``with torch.device("meta"), WithoutValues():``.

    PyTorch makes initial values on the meta device by Python code of its compiler, whose import
    takes two seconds. The shapes are the same without.
    """

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return an empty tensor in place of one with initial values."""
        kwargs = kwargs or {}
        # A function of torch.nn.init fills a tensor, and returns it.
        if getattr(func, "__module__", "") == torch.nn.init.__name__:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        if func is torch.rand or func is torch.randn:
            return torch.empty(*args, **kwargs)
        if func is torch.linspace:
            return torch.empty(args[2], **kwargs)
        return func(*args, **kwargs)

"""What sees every operation that torch runs under it, without torch's compiler, whose import takes a second."""

from torch.utils._python_dispatch import TorchDispatchMode


class Watching(TorchDispatchMode):
    """A dispatch mode that is never compiled, so that nothing must be kept from compiling it."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

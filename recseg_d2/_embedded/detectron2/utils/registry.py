"""Names to objects. May use: fvcore only."""

from fvcore.common.registry import Registry

__all__ = ["Registry"]

"""The generic rules engine: when this is true of an object, do that."""

__version__ = "0.2.0-dev"

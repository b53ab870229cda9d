"""The running program: receivers → Processor → sinks."""

__version__ = "0.1.0"

"""Where work over shards of data runs: this process."""

from hessinf.execution.executor import Executor, LocalExecutor

__all__ = ["Executor", "LocalExecutor"]

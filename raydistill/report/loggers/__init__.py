"""A search in TensorBoard, MLflow or Weights & Biases, for people who have their runs there: `--log`.

Each back end is a file of its own with one class, a `Logger`; `LoggingWatcher` calls them in the driver's process. Nothing is
read back: the records stay the only truth, and a back end that fails ends its own log, not the search.
"""

from raydistill.report.loggers.logger import Logger
from raydistill.report.loggers.opening import BACK_ENDS, open_loggers
from raydistill.report.loggers.watcher import LoggingWatcher

__all__ = ["BACK_ENDS", "Logger", "LoggingWatcher", "open_loggers"]

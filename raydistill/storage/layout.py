"""The names of a study's files and folders that several modules use; `docs/files.md` says what is in them. Imports nothing."""

SPACE_FILE = "search_space.yaml"
"""A folder with this file is a study."""
RESULT_FILE = "result.json"
OPTUNA_FILE = "study.db"
WINNER_FILE, WINNER_FOLDER = "winner.json", "winner"
CERTIFICATE_FILE = "certificate.json"
REPORT_FILE = "report.html"

CONFIG_FILE, RECORD_FILE = "config.json", "record.json"
"""Of a trial, as are the next."""
PROGRESS_FILE, CHECKPOINT_FILE = "progress.json", "checkpoint.safetensors"
"""While it runs."""
SET_FILE, PICTURE_FILE = "images.safetensors", "images.png"
"""Of the winner's copy too, and of a set without a study."""
CONFIRMATION_FILE = "confirmation.json"


def trial_file(trial_id: str, name: str) -> str:
    """The path in a study of one of a trial's files."""
    return f"trials/{trial_id}/{name}"

"""The mini world: a generated corpus in the file formats of the real releases."""

from weam.mini.files import write_file

__all__ = ["write_file"]

"""``python -m weam COMMAND``: see :mod:`weam.cli`."""

from weam.cli import main

raise SystemExit(main())

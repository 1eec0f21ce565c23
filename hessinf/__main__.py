"""``python -m hessinf``: the command line."""

import sys

from hessinf.commands.main import main

if __name__ == "__main__":
    sys.exit(main())

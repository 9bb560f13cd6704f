"""`python -m wasmine` is the command line."""

import sys

from wasmine.cli import main

sys.exit(main())

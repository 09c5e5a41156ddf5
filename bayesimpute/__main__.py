"""``python -m bayesimpute`` is the command ``bayesimpute``."""

import sys

from bayesimpute.cli import main

sys.exit(main())

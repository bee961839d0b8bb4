"""``python -m ulmfit_lib.cli``."""

from ulmfit_lib.cli import main

main()

"""``python -m ulmfit_lib.cli``."""

from ulmfit_lib.cli import main

if __name__ == "__main__":  # and not in the processes that it starts
    main()

"""Run the ``t2igan`` command with ``python -m t2igan``."""

from t2igan.cli.main import main

if __name__ == "__main__":
    main()

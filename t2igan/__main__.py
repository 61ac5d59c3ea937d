"""``python -m t2igan``."""

from t2igan.cli.main import main

if __name__ == "__main__":
    main()

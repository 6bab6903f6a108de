"""The command line as `python -m taskmark`."""

from taskmark.cli import main

if __name__ == "__main__":
    main()

"""`python -m deployd.tools` is `deployd`."""

from .cli import main

if __name__ == "__main__":
    main()

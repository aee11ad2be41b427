"""`python -m badx_hub` is the command `badx-hub`."""

from badx_hub.cli import main

if __name__ == "__main__":
    main()

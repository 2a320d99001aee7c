"""``python -m proxy`` is ``precis``."""

from proxy.cli import main

main()

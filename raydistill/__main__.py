"""`python -m raydistill`: the command, where its script is not on the path."""

from raydistill.cli import main

main()

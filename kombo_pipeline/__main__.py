"""`python -m kombo_pipeline`."""

from kombo_pipeline.cli import main

main()

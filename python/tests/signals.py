"""Programs that are to be interrupted."""

# Whoever starts the tests in the background of a shell has them, and what they start, ignore SIGINT.
HEED_SIGINT = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"

"""Parts of `run_echo_state`."""

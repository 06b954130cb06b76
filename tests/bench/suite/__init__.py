"""What tools/bench is made of; tests/bench/README.md says what is where."""

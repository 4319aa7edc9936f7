"""What the bot costs in time and memory, measured: ``python -m bench``; ``docs/bench.md`` says how to read it."""

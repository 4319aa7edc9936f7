"""The pages that show a bot at work: a process of its own that only reads what the daemon writes."""

"""The long-running program: a feed in, journaled decisions out."""

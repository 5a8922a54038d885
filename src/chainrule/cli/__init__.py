"""The command line: one module a command. A command parses, calls, prints."""

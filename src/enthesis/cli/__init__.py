"""The command line: one file per noun. Commands read arguments, call a function of the library, and print."""

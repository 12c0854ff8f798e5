"""The subcommands of `enthesis import`: one module per source, each with one function of the source's name."""

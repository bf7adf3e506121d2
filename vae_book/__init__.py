"""The machinery of the book: command line, notebooks, figures, verdicts, the build."""

"""Builds and checks the book: `python -m vae_book.build`."""

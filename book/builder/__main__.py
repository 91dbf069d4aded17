"""Builds the book, or a part of it: ``python -m book.builder``."""

import sys

if __name__ == "__main__":
    try:
        from book.builder.build import app
        from book.builder.pages import BookError
    except ImportError as error:
        sys.exit(
            f"error: expected the packages of the book; got {error}; install them: "
            'pip install "sadefect[book]"'
        )
    try:
        app()
    except BookError as error:  # A problem with the book is a message, not a traceback.
        sys.exit(f"error: {error}")

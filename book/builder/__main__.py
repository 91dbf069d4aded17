"""``python -m book.builder``: builds the book, or a part of it."""

import sys

if __name__ == "__main__":
    try:
        from book.builder.build import main
    except ImportError as error:
        sys.exit(
            f"error: expected the packages of the book; got {error}; install them: "
            'pip install "sadefect[book]"'
        )
    main()

"""``python -m book.builder``: builds the book, or a part of it."""

from book.builder.build import main

if __name__ == "__main__":
    main()

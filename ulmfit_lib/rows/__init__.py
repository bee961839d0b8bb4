"""One reader and one writer of rows, for the terminal, the server, the engines and Python; they need no pandas."""

"""The plain pages that browsers see at `/`, rendered on the server, until the web UI replaces them."""

"""The HTTP surface, an endpoint a file. Read ``chat.py`` first."""

"""What in a request may be touched: its texts, and the spans of them that must survive."""

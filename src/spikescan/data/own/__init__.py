"""A person's own files: one reader a format, on one base that labels, splits and measures."""

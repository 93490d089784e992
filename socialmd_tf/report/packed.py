"""Text for a page in a fraction of its size: compressed, as letters that HTML can hold."""

import base64
import gzip


def packed(text):
    """Text compressed by gzip, in base64; equal texts give equal results. `unpack.js` is the inverse."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()

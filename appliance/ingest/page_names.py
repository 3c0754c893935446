"""What a page view is called whose client gives it no id, so that engagement can say which one it belongs to.

Such clients say with engagement on which page it was, and mean the visitor's newest page view of that page. Page view
and engagement therefore carry the same name, a keyed hash of visitor and page, and the drain remembers of each name the
newest page view that carried it (docs/decisions/0020). The key is the salt of the day: when that is deleted, no name
can be linked to a visitor any more.
"""

from hashlib import blake2b


def page_name(salt: bytes, day: int, visitor: int, hostname: str, path: str) -> str:
    """The name, in the form of a UUID, which is stored in 16 bytes. It begins with the day of the salt (days since
    1970), which keeps the names of a day together in an index."""
    page = f"{visitor}\0{hostname}\0{path}".encode("utf-8", "replace")
    digest = blake2b(page, digest_size=12, key=salt).hexdigest()
    return f"{day & 0xFFFFFFFF:08x}-{digest[:4]}-{digest[4:8]}-{digest[8:12]}-{digest[12:]}"

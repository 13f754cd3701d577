"""Where the page is to be found: as a URL, and as a QR code for a phone's camera."""

from __future__ import annotations

import io
import ipaddress
import socket

ANYWHERE = {"0.0.0.0", "::"}


def is_this_machine(host: str) -> bool:
    """Whether only programs on this machine can reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def address(host: str, port: int, token: str) -> str:
    """The token stands behind the #: browsers never send that part, and it is in nobody's log."""
    name = own_address(host) if host in ANYWHERE else host
    if ":" in name:
        name = f"[{name}]"
    return f"http://{name}:{port}/" + (f"#{token}" if token else "")


def own_address(host: str) -> str:
    """The address by which others would reach this machine; nothing is sent to find out."""
    family, far = (socket.AF_INET6, "2001:db8::1") if host == "::" else (socket.AF_INET, "192.0.2.1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((far, 9))
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def announcement(host: str, port: int, token: str) -> str:
    """For the terminal; with a token also as QR code."""
    url = address(host, port, token)
    if not token:
        return f"control page: {url}"
    import segno  # only here: an address on this machine needs no code

    drawing = io.StringIO()
    segno.make(url, micro=False).terminal(drawing, compact=True)
    return f"{drawing.getvalue()}control page: {url}\nWhoever has this address can move the faders."

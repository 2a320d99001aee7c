"""Which model entries serve a request and which policy it gets. Pure: no I/O, no clock."""

from proxy.routing.asked import Asked
from proxy.routing.entries import Entries
from proxy.routing.route import Route, Router, route

__all__ = ["Asked", "Entries", "Route", "Router", "route"]

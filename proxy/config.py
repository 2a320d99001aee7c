"""The configuration: all of config.yaml, frozen. It reads neither a file nor the environment.

Each part is a file of its own, ``config_policy.py`` and so on; ``config_file.py`` turns YAML into
these and checks that the names in them resolve. Names follow LiteLLM's where its users already
have them (``model_list``, ``litellm_params``, ``router_settings``).
"""

from __future__ import annotations

from pydantic import Field

from proxy.config_compressor import Calibration, CompressorSettings
from proxy.config_frozen import Frozen
from proxy.config_policy import NamedPolicy, Policy
from proxy.config_routes import RouteSettings
from proxy.config_server import LedgerSettings, Server
from proxy.config_tenants import TenantSettings
from proxy.config_upstreams import ModelEntry, RouterSettings


class Config(Frozen):
    """All of config.yaml."""

    server: Server = Server()
    compressor: CompressorSettings = CompressorSettings()
    ledger: LedgerSettings = LedgerSettings()
    calibration: Calibration = Calibration()
    model_list: tuple[ModelEntry, ...] = ()
    router_settings: RouterSettings = RouterSettings()
    policies: dict[str, NamedPolicy] = Field(default={})
    routes: tuple[RouteSettings, ...] = ()
    tenants: dict[str, TenantSettings] = Field(default={})

    def policy(self, name: str) -> Policy:
        """The named policy laid over what it extends. Raises KeyError if unknown.

        A policy that extends none is laid over nothing: its lists replace the defaults.
        """
        named = self.policies[name]
        return self.policy(named.extends).overlaid(named.alone) if named.extends else named.alone
